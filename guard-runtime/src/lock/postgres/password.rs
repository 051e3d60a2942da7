//! How a password is proved: SCRAM-SHA-256 (RFC 5802, RFC 7677), and the old MD5.

use ring::rand::SecureRandom;
use ring::{digest, hmac, pbkdf2, rand};

use super::md5::md5_hex;

/// The one mechanism there is. Its channel binding (`-PLUS`) would need a server's certificate that is verified anyway.
pub(super) const MECHANISM: &str = "SCRAM-SHA-256";

/// Without channel binding, no other name to act for; the server takes the user's name from the session.
const HEADER: &str = "n,,";
/// Seconds of work. A server's own default is 4,096.
const MOST_ITERATIONS: u32 = 1_000_000;

/// A login by SCRAM, from its first message to its last.
pub(super) struct Scram<'a> {
    password: &'a str,
    nonce: String,
    server_signature: Option<hmac::Tag>,
}

impl<'a> Scram<'a> {
    pub(super) fn new(password: &'a str) -> Result<Self, String> {
        let mut random = [0; 18];
        rand::SystemRandom::new().fill(&mut random).map_err(|_| "the system has no random numbers")?;
        Ok(Self { password, nonce: base64(&random), server_signature: None })
    }

    pub(super) fn first(&self) -> String {
        format!("{HEADER}{}", self.first_bare())
    }

    fn first_bare(&self) -> String {
        format!("n=,r={}", self.nonce)
    }

    /// The proof, for the server's challenge.
    pub(super) fn proof(&mut self, challenge: &[u8]) -> Result<String, String> {
        const WRONG: &str = "the server's SCRAM challenge cannot be read";
        let challenge = std::str::from_utf8(challenge).map_err(|_| WRONG)?;
        let mut parts = challenge.split(',');
        let mut part = |name| parts.next().and_then(|part| part.strip_prefix(name)).ok_or(WRONG);
        let (nonce, salt, iterations) = (part("r=")?, part("s=")?, part("i=")?);
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err("the server's SCRAM nonce is not an answer to ours".into());
        }
        let salt = from_base64(salt).ok_or(WRONG)?;
        let iterations = iterations.parse::<u32>().ok().filter(|number| *number <= MOST_ITERATIONS);
        let iterations = iterations.and_then(std::num::NonZeroU32::new).ok_or(WRONG)?;

        let mut salted = [0; digest::SHA256_OUTPUT_LEN];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, &salt, self.password.as_bytes(), &mut salted);
        let salted = hmac::Key::new(hmac::HMAC_SHA256, &salted);
        let client_key = hmac::sign(&salted, b"Client Key");
        let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
        let final_bare = format!("c={},r={nonce}", base64(HEADER.as_bytes()));
        let said = format!("{},{challenge},{final_bare}", self.first_bare());
        let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, stored_key.as_ref()), said.as_bytes());
        let proof: Vec<u8> = client_key.as_ref().iter().zip(signature.as_ref()).map(|(key, sign)| key ^ sign).collect();
        let server_key = hmac::sign(&salted, b"Server Key");
        let server_key = hmac::Key::new(hmac::HMAC_SHA256, server_key.as_ref());
        self.server_signature = Some(hmac::sign(&server_key, said.as_bytes()));
        Ok(format!("{final_bare},p={}", base64(&proof)))
    }

    /// Whether the server knows the password too.
    pub(super) fn is_proved_by(&self, last: &[u8]) -> bool {
        let signature = last.strip_prefix(b"v=").and_then(|text| from_base64(std::str::from_utf8(text).ok()?));
        match (signature, &self.server_signature) {
            (Some(signature), Some(expected)) => signature == expected.as_ref(),
            _ => false,
        }
    }
}

/// What a server that wants MD5 is sent.
pub(super) fn by_md5(user: &str, password: &str, salt: [u8; 4]) -> String {
    let inner = md5_hex(format!("{password}{user}").as_bytes());
    format!("md5{}", md5_hex(&[inner.as_bytes(), &salt].concat()))
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for index in 0..4 {
            let letter = ALPHABET[(bits >> (18 - 6 * index)) as usize & 63];
            text.push(if index <= chunk.len() { letter.into() } else { '=' });
        }
    }
    text
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    if !text.len().is_multiple_of(4) {
        return None;
    }
    for chunk in text.trim_end_matches('=').as_bytes().chunks(4) {
        let mut bits = 0;
        for (index, letter) in chunk.iter().enumerate() {
            let value = ALPHABET.iter().position(|known| known == letter)? as u32;
            bits |= value << (18 - 6 * index);
        }
        bytes.extend_from_slice(bits.to_be_bytes()[1..].get(..chunk.len().checked_sub(1)?)?);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 7677, section 3, but for the user's name, which PostgreSQL leaves out: its own example below.
    #[test]
    fn the_example_of_rfc_7677() {
        let salted = {
            let mut salted = [0; 32];
            let salt = from_base64("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
            let iterations = std::num::NonZeroU32::new(4096).unwrap();
            pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, &salt, b"pencil", &mut salted);
            hmac::Key::new(hmac::HMAC_SHA256, &salted)
        };
        let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let said =
            format!("n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r={nonce}");
        let server_key = hmac::sign(&salted, b"Server Key");
        let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, server_key.as_ref()), said.as_bytes());
        assert_eq!(base64(signature.as_ref()), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        let client_key = hmac::sign(&salted, b"Client Key");
        let stored = digest::digest(&digest::SHA256, client_key.as_ref());
        let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, stored.as_ref()), said.as_bytes());
        let proof: Vec<u8> = client_key.as_ref().iter().zip(signature.as_ref()).map(|(key, sign)| key ^ sign).collect();
        assert_eq!(base64(&proof), "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    }

    /// The same salt, password and nonces as there, through the login itself; the values are Python's (hashlib, hmac).
    #[test]
    fn a_login() {
        let mut scram = Scram { password: "pencil", nonce: "rOprNGfwEbeRWgbNEkqO".into(), server_signature: None };
        assert_eq!(scram.first(), "n,,n=,r=rOprNGfwEbeRWgbNEkqO");
        assert!(!scram.is_proved_by(b"v="), "before anything was proved");
        let challenge = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let proof = scram.proof(challenge).unwrap();
        assert_eq!(
            proof,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=qvT2SWdEH5Q06albL+hjSYuUhCG7VndFyzIb7CK4n9k="
        );
        assert!(scram.is_proved_by(b"v=3HO6Qt1M4MKJrmlKaoOqLAI0/0TV0HZe7J9H3MBtSOg="));
        for wrong in [&b""[..], b"v=", b"v=!!!!", b"e=other-error", b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="] {
            assert!(!scram.is_proved_by(wrong));
        }
    }

    #[test]
    fn a_challenge_that_is_none() {
        for challenge in [
            &b""[..],
            b"r=x",
            b"r=mine,s=c2FsdA==,i=4096",
            b"r=theirs,s=c2FsdA==,i=4096",
            b"r=mine+,s=c2FsdA==,i=0",
            b"r=mine+,s=c2FsdA==,i=4294967295",
            b"r=mine+,s=?,i=4096",
            b"r=mine+,i=4096,s=c2FsdA==",
            b"r=mine+\xff,s=c2FsdA==,i=4096",
        ] {
            let mut scram = Scram { password: "p", nonce: "mine".into(), server_signature: None };
            assert!(scram.proof(challenge).is_err(), "{challenge:?}");
        }
    }

    #[test]
    fn md5() {
        // As in pg_authid: md5 of password and user; then with the salt, by md5sum(1).
        assert_eq!(by_md5("u", "p", *b"salt"), "md5c827f95590aef08f2d04ac5e8d94d9c3");
    }

    proptest! {
        #[test]
        fn base64_there_and_back(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(from_base64(&base64(&bytes)), Some(bytes));
        }

        #[test]
        fn no_challenge_panics(challenge in proptest::collection::vec(any::<u8>(), 0..60), text in "(r=mine)?[,a-z=0-9]{0,30}") {
            let mut scram = Scram { password: "p", nonce: "mine".into(), server_signature: None };
            let _ = scram.proof(&challenge);
            let _ = scram.proof(text.as_bytes());
            let _ = (scram.is_proved_by(&challenge), scram.is_proved_by(text.as_bytes()), from_base64(&text));
        }
    }
}
