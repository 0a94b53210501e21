//! TLS as longhaul accepts it: 1.2 and up, the platform's roots and a private CA. There is no
//! switch that turns checking off.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tracing::warn;

use super::Error;

/// The platform's roots; reading them takes tens of milliseconds, so it is done once.
static NATIVE: OnceLock<Vec<CertificateDer<'static>>> = OnceLock::new();

/// Builds the TLS side of the client.
///
/// # Errors
///
/// [`Error::Config`] when the CA file cannot be read or holds no certificate.
pub(super) fn config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(native().iter().cloned());
    if let Some(path) = ca_file {
        let fail = |cause: String| Error::Config(format!("CA file {}: {cause}", path.display()));
        let certificates = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| fail(error.to_string()))?;
        if certificates.is_empty() {
            return Err(fail("it holds no certificate in PEM form".to_owned()));
        }
        for certificate in certificates {
            roots
                .add(certificate)
                .map_err(|error| fail(error.to_string()))?;
        }
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Config(format!("TLS: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// AES-128 first: 0.26 CPU seconds a GiB against 0.35 for AES-256 and 0.72 for ChaCha20.
fn provider() -> CryptoProvider {
    use aws_lc_rs::cipher_suite::*;

    CryptoProvider {
        cipher_suites: vec![
            TLS13_AES_128_GCM_SHA256,
            TLS13_AES_256_GCM_SHA384,
            TLS13_CHACHA20_POLY1305_SHA256,
            TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
            TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        ],
        ..aws_lc_rs::default_provider()
    }
}

fn native() -> &'static [CertificateDer<'static>] {
    NATIVE.get_or_init(|| {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            warn!(error = %error, "some of the platform's root certificates cannot be read");
        }
        found.certs
    })
}

/// What is wrong with the peer and what to do, or `None` when the connection merely broke during
/// the handshake.
pub(super) fn explain(error: &std::io::Error) -> Option<String> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    if let rustls::Error::InvalidMessage(_) = error {
        return Some(
            "what answers there speaks no TLS; is the port right, or is it an http address?"
                .to_owned(),
        );
    }
    let rustls::Error::InvalidCertificate(problem) = error else {
        return Some(format!("no TLS connection can be agreed on ({error})"));
    };
    Some(match problem {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet; is the clock of this machine right?".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name; write the address with the name that the \
             certificate is for, or have one issued for this name"
                .to_owned()
        }
        CertificateError::UnknownIssuer => "its certificate comes from an authority this machine \
             does not know; for a company's own, set network.ca_file to its PEM file"
            .to_owned(),
        CertificateError::Revoked => "its certificate has been revoked".to_owned(),
        // Self-signed certificates are often made as authorities; the checker has no name for that.
        CertificateError::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            "its certificate is an authority's own; the server needs one issued for its name, by an \
             authority that network.ca_file may name"
                .to_owned()
        }
        other => format!("its certificate is not acceptable ({other})"),
    })
}
