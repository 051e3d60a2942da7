//! The messages of PostgreSQL's protocol 3.0 that a lock needs: written for the server, read from it.

/// No message of the server's that is waited for is longer; a longer one is an error, not an allocation.
const LONGEST: usize = 1 << 20;

/// What the server says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// The login is over.
    AuthenticationOk,
    WantsCleartext,
    WantsMd5 {
        salt: [u8; 4],
    },
    /// The SASL mechanisms that it offers.
    WantsSasl(Vec<String>),
    SaslContinue(Vec<u8>),
    SaslFinal(Vec<u8>),
    /// Another way to log in, by its number.
    WantsOther(u32),
    /// The session's own process.
    BackendKey {
        pid: u32,
    },
    /// A row's columns as texts; `None` for NULL.
    Row(Vec<Option<String>>),
    Error(ServerError),
    /// Also the last words of a server that ends without time for more.
    Notice(ServerError),
    /// It waits for the next query.
    Ready,
    /// Whatever changes nothing: parameters, descriptions of rows.
    Other,
}

/// What it says of an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ServerError {
    /// Five letters and digits (PostgreSQL, appendix A).
    pub(super) code: String,
    pub(super) text: String,
}

impl std::fmt::Display for ServerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.text, self.code)
    }
}

/// The first message in `bytes` and its length; none where it is not there whole.
///
/// # Errors
/// Where the bytes are no such message.
pub(super) fn read(bytes: &[u8]) -> Result<Option<(Message, usize)>, String> {
    let Some((&kind, rest)) = bytes.split_first() else { return Ok(None) };
    let mut header = Reader(rest);
    let Some(length) = header.number() else { return Ok(None) };
    let length = length as usize;
    if !(4..=LONGEST).contains(&length) || !kind.is_ascii_alphanumeric() {
        return Err("what answers there is no PostgreSQL server: it sent something else than a message".into());
    }
    let Some(body) = rest.get(4..length) else { return Ok(None) };
    let message = message(kind, Reader(body)).ok_or("the server sent a message that cannot be read")?;
    Ok(Some((message, 1 + length)))
}

fn message(kind: u8, mut body: Reader<'_>) -> Option<Message> {
    Some(match kind {
        b'R' => match body.number()? {
            0 => Message::AuthenticationOk,
            3 => Message::WantsCleartext,
            5 => Message::WantsMd5 { salt: body.take(4)?.try_into().ok()? },
            10 => {
                let mut mechanisms = Vec::new();
                while let Some(name) = body.text().filter(|name| !name.is_empty()) {
                    mechanisms.push(name);
                }
                Message::WantsSasl(mechanisms)
            }
            11 => Message::SaslContinue(body.0.to_vec()),
            12 => Message::SaslFinal(body.0.to_vec()),
            other => Message::WantsOther(other),
        },
        b'K' => Message::BackendKey { pid: body.number()? },
        b'D' => {
            let columns = body.take(2)?;
            let columns = u16::from_be_bytes(columns.try_into().ok()?);
            let column = |_| {
                let length = body.number()?;
                // -1 is NULL.
                if length == u32::MAX { Some(None) } else { Some(Some(lossy(body.take(length as usize)?))) }
            };
            Message::Row((0..columns).map(column).collect::<Option<_>>()?)
        }
        b'E' | b'N' => {
            let mut error = ServerError::default();
            while let Some(field) = body.take(1).map(|field| field[0]).filter(|&field| field != 0) {
                let text = body.text()?;
                match field {
                    b'C' => error.code = text,
                    b'M' => error.text = text,
                    _ => {}
                }
            }
            if kind == b'E' { Message::Error(error) } else { Message::Notice(error) }
        }
        b'Z' => Message::Ready,
        _ => Message::Other,
    })
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    /// Up to the next NUL.
    fn text(&mut self) -> Option<String> {
        let end = self.0.iter().position(|&byte| byte == 0)?;
        let text = lossy(self.take(end)?);
        self.take(1)?;
        Some(text)
    }
}

/// Without control characters: it ends up in a log or on a terminal.
fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// Asks for TLS; the answer is one byte.
pub(super) fn ssl_request() -> Vec<u8> {
    with_length(None, &80_877_103_u32.to_be_bytes())
}

/// Opens a session. `parameters` are names and values in turn.
pub(super) fn startup(parameters: &[&str]) -> Vec<u8> {
    let mut body = 196_608_u32.to_be_bytes().to_vec();
    for text in parameters {
        push_text(&mut body, text);
    }
    body.push(0);
    with_length(None, &body)
}

pub(super) fn query(sql: &str) -> Vec<u8> {
    let mut body = Vec::new();
    push_text(&mut body, sql);
    with_length(Some(b'Q'), &body)
}

/// A password, or what stands for one.
pub(super) fn password(text: &str) -> Vec<u8> {
    let mut body = Vec::new();
    push_text(&mut body, text);
    with_length(Some(b'p'), &body)
}

pub(super) fn sasl_initial(mechanism: &str, response: &str) -> Vec<u8> {
    let mut body = Vec::new();
    push_text(&mut body, mechanism);
    body.extend((response.len() as u32).to_be_bytes());
    body.extend_from_slice(response.as_bytes());
    with_length(Some(b'p'), &body)
}

pub(super) fn sasl_response(response: &str) -> Vec<u8> {
    with_length(Some(b'p'), response.as_bytes())
}

pub(super) fn terminate() -> Vec<u8> {
    with_length(Some(b'X'), &[])
}

fn push_text(body: &mut Vec<u8>, text: &str) {
    // A NUL would end the text early, and what is behind it would be read as something else.
    body.extend(text.bytes().filter(|&byte| byte != 0));
    body.push(0);
}

fn with_length(kind: Option<u8>, body: &[u8]) -> Vec<u8> {
    let mut message: Vec<u8> = kind.into_iter().collect();
    message.extend((body.len() as u32 + 4).to_be_bytes());
    message.extend_from_slice(body);
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn from_server(kind: u8, body: &[u8]) -> Message {
        let bytes = with_length(Some(kind), body);
        for end in 0..bytes.len() {
            assert_eq!(read(&bytes[..end]), Ok(None), "cut at {end}");
        }
        let (message, length) = read(&[&bytes[..], b"more"].concat()).unwrap().unwrap();
        assert_eq!(length, bytes.len());
        message
    }

    #[test]
    fn from_the_server() {
        for (kind, body, message) in [
            (b'R', &b"\0\0\0\0"[..], Message::AuthenticationOk),
            (b'R', b"\0\0\0\x05salt", Message::WantsMd5 { salt: *b"salt" }),
            (b'R', b"\0\0\0\x0aA\0B\0\0", Message::WantsSasl(vec!["A".into(), "B".into()])),
            (b'R', b"\0\0\0\x07", Message::WantsOther(7)),
            (b'K', b"\0\0\x01\0secr", Message::BackendKey { pid: 256 }),
            (b'D', b"\0\x02\0\0\0\x01t\xff\xff\xff\xff", Message::Row(vec![Some("t".into()), None])),
            (
                b'E',
                b"SFATAL\0C57P01\0Mthe\nend\0\0",
                Message::Error(ServerError { code: "57P01".into(), text: "the end".into() }),
            ),
            (b'Z', b"I", Message::Ready),
            (b'N', b"C57P02\0\0", Message::Notice(ServerError { code: "57P02".into(), text: String::new() })),
            (b'S', b"whatever", Message::Other),
        ] {
            assert_eq!(from_server(kind, body), message);
        }
    }

    #[test]
    fn what_is_no_message() {
        for bytes in
            [&b"HTTP/1.1 400 Bad Request"[..], b"E\0\0\0\x03", b"\0\0\0\0\x04", b"D\0\0\0\x06\0\x01", b"R\0\0\0\x05\0"]
        {
            assert!(read(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn to_the_server() {
        assert_eq!(ssl_request(), b"\0\0\0\x08\x04\xd2\x16\x2f");
        assert_eq!(startup(&["user", "u"]), b"\0\0\0\x10\0\x03\0\0user\0u\0\0");
        assert_eq!(query("a\0b"), b"Q\0\0\0\x07ab\0");
        assert_eq!(sasl_initial("M", "xy"), b"p\0\0\0\x0cM\0\0\0\0\x02xy");
        assert_eq!(terminate(), b"X\0\0\0\x04");
    }

    proptest! {
        /// Neither of bytes at random nor of a message's form around them.
        #[test]
        fn no_bytes_panic(kind in any::<u8>(), body in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = read(&body);
            for kind in [kind, b'R', b'K', b'D', b'E', b'Z'] {
                let _ = read(&with_length(Some(kind), &body));
                for number in [0, 5, 10, 11, 12] {
                    let _ = read(&with_length(Some(kind), &[&[0, 0, 0, number], &body[..]].concat()));
                }
            }
        }
    }
}
