//! TLS by rustls: who the server must prove to be.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::url::{Host, Settings, Verification};

/// Where systems keep the certificates of the public authorities, for `sslrootcert=system`.
const SYSTEM_ROOTS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// A TLS connection that has yet to shake hands.
///
/// # Errors
/// Where no root certificate can be read, or the host is no name that a certificate could have.
pub(super) fn client(settings: &Settings, verification: Verification) -> Result<Box<ClientConnection>, String> {
    let Host::Name(host) = &settings.host else { return Err("a Unix socket has no TLS".into()) };
    let name =
        ServerName::try_from(host.clone()).map_err(|_| format!("{host} is no name that a certificate could have"))?;
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier { trusted: trusted(settings, verification)?, verification, provider: provider.clone() };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    ClientConnection::new(Arc::new(config), name).map(Box::new).map_err(|error| error.to_string())
}

/// The root certificates; empty where the server may be anybody.
fn trusted(settings: &Settings, verification: Verification) -> Result<Vec<CertificateDer<'static>>, String> {
    let default = std::env::home_dir().map(|home| home.join(".postgresql/root.crt"));
    let path: PathBuf = match (settings.roots.as_deref(), default) {
        (Some("system"), _) if verification != Verification::ChainAndName => {
            // As libpq: everybody can have a certificate of a public authority.
            return Err("sslrootcert=system needs sslmode=verify-full".into());
        }
        (Some("system"), _) => {
            let found = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
            let found = found.or_else(|| SYSTEM_ROOTS.iter().map(PathBuf::from).find(|path| path.exists()));
            found.ok_or("sslrootcert=system: this system has no file with root certificates; name one")?
        }
        (Some(path), _) => path.into(),
        (None, Some(path)) if path.exists() => path,
        (None, _) if verification == Verification::Nothing => return Ok(Vec::new()),
        (None, _) => {
            return Err(
                "sslmode=verify-… needs a root certificate: write sslrootcert=FILE (or system), or put it into \
                        ~/.postgresql/root.crt"
                    .into(),
            );
        }
    };
    read_certificates(&path)
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let shown = path.display();
    let wrong = |error| format!("cannot read certificates from {shown}: {error}");
    let certificates = CertificateDer::pem_file_iter(path).map_err(wrong)?;
    let certificates: Vec<_> = certificates.collect::<Result<_, _>>().map_err(wrong)?;
    if certificates.is_empty() { Err(format!("{shown} holds no certificate in PEM form")) } else { Ok(certificates) }
}

#[derive(Debug)]
struct Verifier {
    trusted: Vec<CertificateDer<'static>>,
    verification: Verification,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.trusted.is_empty() {
            return Ok(ServerCertVerified::assertion());
        }
        let parsed = ParsedCertificate::try_from(certificate)?;
        // A self-signed certificate that is its own root: `openssl req -x509` marks it as an authority's, which rustls
        // takes for no server's. It is in the file itself, so there is no chain to look into.
        if !self.trusted.contains(certificate) {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(self.trusted.iter().cloned());
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&parsed, &roots, intermediates, now, algorithms)?;
        }
        if self.verification == Verification::ChainAndName {
            verify_server_name(&parsed, name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// What rustls says, and what to do about it.
pub(super) fn refused(error: &rustls::Error) -> String {
    let remedy = match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "; name the certificate that signed the server's in sslrootcert"
        }
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "; connect to a name that the certificate has",
        _ => "",
    };
    format!("TLS was refused: {error}{remedy}")
}
