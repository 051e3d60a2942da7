//! A connection URL by the rules of libpq, read without ever repeating a part of it: it may hold a password.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Where libpq looks for the server's socket where no host is named, as Debian and Red Hat build it.
pub(super) const DEFAULT_SOCKET_DIRECTORY: &str = "/var/run/postgresql";

/// What a URL and the `PG…` variables say.
pub(super) struct Settings {
    pub(super) host: Host,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) database: String,
    pub(super) password: Option<String>,
    pub(super) password_file: Option<PathBuf>,
    /// Verification of the server; none over a Unix socket.
    pub(super) tls: Option<Verification>,
    /// Certificates that sign the server's; a file, or `system`.
    pub(super) roots: Option<String>,
    /// How long the set-up may take, where the URL says so.
    pub(super) connect_timeout: Option<Duration>,
}

/// Where the server listens.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// A directory with its Unix socket.
    Socket(PathBuf),
    /// A name or an address.
    Name(String),
}

/// `sslmode` above `disable`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verification {
    /// Encrypted, the server is anybody; with a root certificate as `Chain`, as libpq has it.
    Nothing,
    /// Its certificate is signed by a root.
    Chain,
    /// And is for this host.
    ChainAndName,
}

/// The server, for messages: no user, no password.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { port, .. } = self;
        match &self.host {
            Host::Socket(directory) => write!(f, "{}", socket_path(directory, *port).display()),
            Host::Name(name) if name.contains(':') => write!(f, "[{name}]:{port}"),
            Host::Name(name) => write!(f, "{name}:{port}"),
        }
    }
}

pub(super) fn socket_path(directory: &std::path::Path, port: u16) -> PathBuf {
    directory.join(format!(".s.PGSQL.{port}"))
}

/// The parameters that are known, and the variable that gives each where the URL does not (libpq, "Environment Variables").
const KNOWN: [(&str, &str); 10] = [
    ("host", "PGHOST"),
    ("port", "PGPORT"),
    ("user", "PGUSER"),
    ("password", "PGPASSWORD"),
    ("dbname", "PGDATABASE"),
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("passfile", "PGPASSFILE"),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
    // Ours takes its place: the holder is found by it.
    ("application_name", ""),
];

const FORM: &str = "write postgres://USER@HOST:PORT/DATABASE?sslmode=verify-full";
const ENCODE: &str =
    "write `@`, `:`, `/`, `?`, `#` and `%` in a user name or a password as %40, %3A, %2F, %3F, %23 and %25";

/// Reads a URL; `variable` looks the environment's up, `login` is the name of the system's user.
///
/// # Errors
/// A text that says what is wrong and what would be right. Nothing of the URL stands in it: what looks like a parameter's
/// name may be the rest of a password.
pub(super) fn parse(
    url: &str,
    variable: impl Fn(&str) -> Option<String>,
    login: impl Fn() -> Option<String>,
) -> Result<Settings, String> {
    let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"));
    let rest = rest.ok_or_else(|| format!("it is not a PostgreSQL URL: {FORM}"))?;
    let mut given: [Option<String>; KNOWN.len()] = Default::default();
    let mut set = |name: &str, value: String| {
        if let Some(index) = KNOWN.iter().position(|(known, _)| *known == name) {
            given[index] = Some(value);
        }
    };
    // As libpq: what stands before the first `@` is the user, unless a `/` comes first.
    let rest = match rest.find(['@', '/']) {
        Some(at) if rest.as_bytes()[at] == b'@' => {
            let (user, password) =
                rest[..at].split_once(':').map_or((&rest[..at], None), |(user, password)| (user, Some(password)));
            if !user.is_empty() {
                set("user", decoded(user)?);
            }
            if let Some(password) = password {
                set("password", decoded(password)?);
            }
            &rest[at + 1..]
        }
        _ => rest,
    };
    if rest.contains('@') {
        return Err(format!("a second `@` stands in it, or one behind the host: {ENCODE}"));
    }
    let (place, query) = rest.split_once('?').map_or((rest, None), |(place, query)| (place, Some(query)));
    let (authority, database) =
        place.split_once('/').map_or((place, ""), |(authority, database)| (authority, database));
    if authority.contains(',') {
        return Err("more than one host is named: name the primary's alone, or an address that follows it".into());
    }
    let (host, port) = host_and_port(authority)?;
    for (name, text) in [("host", host), ("port", port), ("dbname", database)] {
        if !text.is_empty() {
            set(name, decoded(text)?);
        }
    }
    for (number, parameter) in
        query.unwrap_or_default().split('&').filter(|parameter| !parameter.is_empty()).enumerate()
    {
        let wrong = |what: &str| format!("parameter {} behind `?` {what}", number + 1);
        let (name, value) = parameter.split_once('=').ok_or_else(|| wrong("has no `=`"))?;
        let (name, value) = (decoded(name)?, decoded(value)?);
        if !KNOWN.iter().any(|(known, _)| *known == name) {
            let known: Vec<&str> = KNOWN.iter().map(|(known, _)| *known).collect();
            return Err(wrong(&format!("is not known; known are {}", known.join(", "))));
        }
        set(&name, value);
    }
    for (value, (_, name)) in given.iter_mut().zip(KNOWN) {
        if value.is_none() && !name.is_empty() {
            *value = variable(name).filter(|value| !value.is_empty());
        }
    }
    checked(given, login)
}

/// Makes settings of the texts.
fn checked(given: [Option<String>; KNOWN.len()], login: impl Fn() -> Option<String>) -> Result<Settings, String> {
    let [host, port, user, password, database, mode, roots, password_file, timeout, _] = given;
    let host = match host {
        None => Host::Socket(DEFAULT_SOCKET_DIRECTORY.into()),
        Some(directory) if directory.starts_with('/') => Host::Socket(directory.into()),
        Some(name) if name.contains(',') => {
            return Err("more than one host is named: name the primary's alone, or an address that follows it".into());
        }
        Some(name) if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:%".contains(&byte)) => {
            Host::Name(name)
        }
        Some(_) => return Err(format!("the host is neither a name, an address nor a directory: {ENCODE}")),
    };
    let port = match port {
        None => 5432,
        Some(text) => match text.parse() {
            Ok(port) if port != 0 => port,
            _ => return Err(format!("the port is not a number from 1 to 65535: {ENCODE}")),
        },
    };
    let tls = match (mode.as_deref(), &host) {
        (Some("disable"), Host::Name(_)) => None,
        (Some("require"), Host::Name(_)) => Some(Verification::Nothing),
        (Some("verify-ca"), Host::Name(_)) => Some(Verification::Chain),
        (Some("verify-full"), Host::Name(_)) => Some(Verification::ChainAndName),
        // libpq's: nobody listens in on a Unix socket.
        (Some("disable" | "allow" | "prefer" | "require" | "verify-ca" | "verify-full") | None, Host::Socket(_)) => {
            None
        }
        (Some("allow" | "prefer"), _) => {
            return Err("sslmode is allow or prefer, which end unencrypted where somebody wants it so: write \
                        sslmode=verify-full (or verify-ca, require, disable)"
                .into());
        }
        (None, _) => {
            return Err(
                "sslmode is missing: write sslmode=verify-full (or verify-ca, require, disable) behind `?`".into()
            );
        }
        (Some(_), _) => return Err("sslmode is not one of disable, require, verify-ca, verify-full".into()),
    };
    let connect_timeout = match timeout.as_deref().map(str::parse::<u32>) {
        // As libpq: 0 is no limit of its own, 1 is 2.
        None | Some(Ok(0)) => None,
        Some(Ok(seconds)) => Some(Duration::from_secs(seconds.max(2).into())),
        Some(Err(_)) => return Err("connect_timeout is not a whole number of seconds".into()),
    };
    let user = user.or_else(login).ok_or("no user is named, and the system's user has no name: name one")?;
    let database = database.unwrap_or_else(|| user.clone());
    let password_file = password_file.map(PathBuf::from);
    Ok(Settings { host, port, user, database, password, password_file, tls, roots, connect_timeout })
}

fn host_and_port(authority: &str) -> Result<(&str, &str), String> {
    if let Some(address) = authority.strip_prefix('[') {
        let (address, rest) = address.split_once(']').ok_or("the `[` before an address is not closed")?;
        return match rest.strip_prefix(':') {
            Some(port) => Ok((address, port)),
            None if rest.is_empty() => Ok((address, "")),
            None => Err(format!("something stands between `]` and the port: {ENCODE}")),
        };
    }
    let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
    if port.contains(':') { Err("an IPv6 address stands in brackets, as in [::1]".into()) } else { Ok((host, port)) }
}

/// Takes percent-encoding away.
fn decoded(text: &str) -> Result<String, String> {
    const WRONG: &str = "a `%` is not followed by two hexadecimal digits other than 00: write a `%` of its own as %25";
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        if byte == b'%' {
            let digits = behind.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit)).ok_or(WRONG)?;
            let digits = std::str::from_utf8(digits).map_err(|_| WRONG)?;
            bytes.push(u8::from_str_radix(digits, 16).map_err(|_| WRONG)?);
            rest = &behind[2..];
        } else {
            bytes.push(byte);
            rest = behind;
        }
    }
    if bytes.contains(&0) {
        return Err(WRONG.into());
    }
    String::from_utf8(bytes).map_err(|_| "what is percent-encoded is not UTF-8".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(url: &str) -> Result<Settings, String> {
        parse(url, |_| None, || Some("login".into()))
    }

    #[test]
    fn parts() {
        for (url, host, port, user, database, password) in [
            ("postgres://u:p@db:6543/jobs?sslmode=require", "db", 6543, "u", "jobs", Some("p")),
            ("postgresql://db?sslmode=disable", "db", 5432, "login", "login", None),
            ("postgres://u%40x:%40%3A%2F%3F%23%25@db/a%2Fb?sslmode=disable", "db", 5432, "u@x", "a/b", Some("@:/?#%")),
            ("postgres://u:a:b?c@db/jobs?sslmode=disable", "db", 5432, "u", "jobs", Some("a:b?c")),
            ("postgres://[::1]:6000/jobs?sslmode=disable&user=v&password=w", "::1", 6000, "v", "jobs", Some("w")),
            (
                "postgres:///jobs?host=10.0.0.1&port=7&sslmode=disable&application_name=x",
                "10.0.0.1",
                7,
                "login",
                "jobs",
                None,
            ),
        ] {
            let settings = parsed(url).unwrap_or_else(|wrong| panic!("{url}: {wrong}"));
            assert_eq!(settings.host, Host::Name(host.into()), "{url}");
            assert_eq!((settings.port, &*settings.user, &*settings.database), (port, user, database), "{url}");
            assert_eq!(settings.password.as_deref(), password, "{url}");
        }
        for (url, directory) in [
            ("postgres:///jobs", DEFAULT_SOCKET_DIRECTORY),
            ("postgres://%2Ftmp%2Fpg/jobs", "/tmp/pg"),
            ("postgres:///jobs?host=/tmp/pg&sslmode=prefer", "/tmp/pg"),
        ] {
            let settings = parsed(url).unwrap_or_else(|wrong| panic!("{url}: {wrong}"));
            assert_eq!(settings.host, Host::Socket(directory.into()), "{url}");
            assert_eq!(settings.tls, None);
        }
    }

    #[test]
    fn modes() {
        for (mode, tls) in [
            ("disable", None),
            ("require", Some(Verification::Nothing)),
            ("verify-ca", Some(Verification::Chain)),
            ("verify-full", Some(Verification::ChainAndName)),
        ] {
            assert_eq!(parsed(&format!("postgres://h/d?sslmode={mode}")).unwrap().tls, tls);
        }
        for url in ["postgres://h/d", "postgres://h/d?sslmode=prefer", "postgres://h/d?sslmode=on"] {
            assert!(parsed(url).err().unwrap().contains("sslmode"), "{url}");
        }
    }

    #[test]
    fn variables_fill_in_what_the_url_leaves_out() {
        let variable = |name: &str| {
            let values = [("PGHOST", "h"), ("PGPASSWORD", "secret"), ("PGSSLMODE", "disable"), ("PGDATABASE", "")];
            values.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let settings = parse("postgres://u@", variable, || None).unwrap();
        assert_eq!(settings.host, Host::Name("h".into()));
        assert_eq!((settings.password.as_deref(), &*settings.database), (Some("secret"), "u"));
        let settings = parse("postgres://u:other@k/d", variable, || None).unwrap();
        assert_eq!((settings.password.as_deref(), settings.host), (Some("other"), Host::Name("k".into())));
    }

    /// Each with a password that ends up in a wrong place, where it is not encoded.
    #[test]
    fn an_error_prints_no_part_of_it() {
        for url in [
            "hunter2",
            "mysql://u:hunter2@h/d",
            "host=h password=hunter2",
            "postgres://u:hunter2/x@h/d?sslmode=disable",
            "postgres://u:12/hunter2?hunter2=x@h/d?sslmode=disable",
            "postgres://u:12/hunter2?hunter2=x",
            "postgres://u:hunter2@x@h/d?sslmode=disable",
            "postgres://u:hunter2%zz@h/d?sslmode=disable",
            "postgres://u:hunter2%0@h/d?sslmode=disable",
            "postgres://u:hunter2%00@h/d?sslmode=disable",
            "postgres://u:hunter2%ff@h/d?sslmode=disable",
            "postgres://u@h,hunter2/d?sslmode=disable",
            "postgres://u@hun ter2/d?sslmode=disable",
            "postgres://u@h:hunter2/d?sslmode=disable",
            "postgres://u@[::1]hunter2/d?sslmode=disable",
            "postgres://u@[hunter2/d?sslmode=disable",
            "postgres://u@h:1:hunter2/d?sslmode=disable",
            "postgres://u@h/d?sslmode=hunter2",
            "postgres://u@h/d?hunter2",
            "postgres://u@h/d?hunter2=1&sslmode=disable",
            "postgres://u@h/d?sslmode=disable&connect_timeout=hunter2",
        ] {
            let wrong = parsed(url).err().unwrap_or_else(|| panic!("{url} is wrong"));
            assert!(!wrong.contains("hunter2") && !wrong.contains("ter2"), "{url}: {wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(url in "(postgres://)?[a-z0-9@:/?#%&=,\\[\\]é.]{0,40}") {
            let _ = parsed(&url);
        }

        #[test]
        fn any_password_survives_its_encoding(password in "[^\0]{1,20}") {
            let encoded: String = password.bytes().flat_map(|byte| format!("%{byte:02X}").into_bytes()).map(char::from).collect();
            let settings = parsed(&format!("postgres://u:{encoded}@h/d?sslmode=disable")).unwrap();
            prop_assert_eq!(settings.password, Some(password));
        }
    }
}
