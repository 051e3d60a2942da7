//! The start of a session: who we are, proved as the server asks.

use std::path::PathBuf;

use super::connection::Connection;
use super::message::{self, Message, ServerError};
use super::password::{MECHANISM, Scram, by_md5};
use super::password_file::{self, Entry};
use super::url::{DEFAULT_SOCKET_DIRECTORY, Host, Settings};
use crate::lock::clock::Time;

/// Logs in; returns the number of the session's own process on the server.
///
/// # Errors
/// A text without the password: what the server said, or what is wrong with its answers.
pub(super) fn log_in(
    connection: &mut Connection,
    settings: &Settings,
    application_name: &str,
    deadline: Time,
) -> Result<u32, String> {
    let Settings { user, database, .. } = settings;
    let parameters =
        ["user", user, "database", database, "application_name", application_name, "client_encoding", "UTF8"];
    connection.send(&message::startup(&parameters), deadline)?;
    let mut scram: Option<Scram<'_>> = None;
    let (mut is_proved, mut backend, mut is_in) = (false, None, false);
    let password = password(settings);
    let needed = || match &password {
        Ok(Some(password)) => Ok(password.as_str()),
        Ok(None) => Err("the server wants a password: write it into the URL, PGPASSWORD or ~/.pgpass".to_owned()),
        Err(wrong) => Err(wrong.clone()),
    };
    loop {
        match connection.next(deadline)? {
            Message::AuthenticationOk if scram.is_some() && !is_proved => {
                return Err("the server did not prove that it knows the password".into());
            }
            Message::AuthenticationOk => is_in = true,
            Message::WantsCleartext => connection.send(&message::password(needed()?), deadline)?,
            Message::WantsMd5 { salt } => {
                connection.send(&message::password(&by_md5(user, needed()?, salt)), deadline)?;
            }
            Message::WantsSasl(mechanisms) if mechanisms.iter().any(|offered| offered == MECHANISM) => {
                let login = Scram::new(needed()?)?;
                connection.send(&message::sasl_initial(MECHANISM, &login.first()), deadline)?;
                scram = Some(login);
            }
            Message::WantsSasl(mechanisms) => {
                return Err(format!("the server offers {} alone; {MECHANISM} is known here", mechanisms.join(", ")));
            }
            Message::SaslContinue(challenge) => {
                let login = scram.as_mut().ok_or("the server goes on with a login that nobody began")?;
                let proof = login.proof(&challenge)?;
                connection.send(&message::sasl_response(&proof), deadline)?;
            }
            Message::SaslFinal(last) => is_proved = scram.as_ref().is_some_and(|login| login.is_proved_by(&last)),
            Message::WantsOther(number) => {
                return Err(format!(
                    "the server wants a login that is not known here (number {number}: GSS, SSPI or the like); known are \
                     SCRAM-SHA-256, md5, password, peer and trust"
                ));
            }
            Message::BackendKey { pid } => backend = Some(pid),
            Message::Error(error) => return Err(refused(&error)),
            Message::Ready if is_in => {
                return backend.ok_or_else(|| "the server does not say which process serves the session".into());
            }
            Message::Ready => return Err("the server begins before the login is over".into()),
            Message::Row(_) | Message::Notice(_) | Message::Other => {}
        }
    }
}

fn refused(error: &ServerError) -> String {
    let remedy = match &*error.code {
        "28P01" | "28000" => "; look after the user's password and the server's pg_hba.conf",
        "3D000" => "; name a database that is there",
        "53300" => "; the server takes no more connections",
        _ => "",
    };
    format!("the server refuses the login: {error}{remedy}")
}

/// The URL's, else the file's.
fn password(settings: &Settings) -> Result<Option<String>, String> {
    if settings.password.is_some() {
        return Ok(settings.password.clone());
    }
    let default = || std::env::home_dir().map(|home| home.join(".pgpass"));
    let Some(path): Option<PathBuf> = settings.password_file.clone().or_else(default) else { return Ok(None) };
    let host = match &settings.host {
        Host::Socket(directory) if directory.as_os_str() == DEFAULT_SOCKET_DIRECTORY => "localhost",
        Host::Socket(directory) => directory.to_str().unwrap_or_default(),
        Host::Name(name) => name,
    };
    let entry = Entry { host, port: settings.port, database: &settings.database, user: &settings.user };
    password_file::look_up(&path, &entry)
}
