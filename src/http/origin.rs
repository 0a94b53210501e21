//! Where a request goes, and the secrets bound to it.

use std::fmt;

use ::http::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use url::Url;

use super::Error;

/// Scheme, host and port that a credential belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

impl Origin {
    /// The origin of an absolute http(s) URL.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidUrl`] for other schemes, and for addresses without a host or with a user
    /// name or password inside: those would travel and be logged with it.
    pub fn of(url: &Url) -> Result<Self, Error> {
        let refuse = |why: &str| Err(Error::InvalidUrl(why.to_owned()));
        if !matches!(url.scheme(), "http" | "https") {
            return refuse("only http and https addresses can be reached");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("it contains a user name or password");
        }
        match (url.host_str(), url.port_or_known_default()) {
            (Some(host), Some(port)) if !host.is_empty() && port != 0 => Ok(Self {
                scheme: url.scheme().to_owned(),
                host: host.to_owned(),
                port,
            }),
            _ => refuse("it names no host"),
        }
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The host as a URL writes it: lower case, IPv6 in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, the scheme's own when the URL named none.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Host and port, as errors and logs name it.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme, self.host, self.port)
    }
}

/// Secret headers that are only ever sent to one origin.
#[derive(Clone, Debug)]
pub struct Credential {
    origin: Origin,
    headers: Vec<(HeaderName, SecretString)>,
}

impl Credential {
    /// Headers for `origin`.
    pub fn new(origin: Origin, headers: Vec<(HeaderName, SecretString)>) -> Self {
        Self { origin, headers }
    }

    /// The origin it belongs to.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The headers as values that print as `Sensitive`.
    pub(super) fn values(&self) -> Result<Vec<(HeaderName, HeaderValue)>, Error> {
        self.headers
            .iter()
            .map(|(name, secret)| {
                let mut value = HeaderValue::from_str(secret.expose_secret()).map_err(|_| {
                    Error::Config(format!(
                        "the secret for header {name} contains characters a header cannot carry"
                    ))
                })?;
                value.set_sensitive(true);
                Ok((name.clone(), value))
            })
            .collect()
    }
}

/// An address whose query is a secret. `Debug` and `Display` show scheme, host and a digest.
#[derive(Clone)]
pub struct SignedUrl(Url);

impl SignedUrl {
    /// Reads a signed address; the error does not repeat it.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidUrl`] when it is no absolute http(s) address.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let url = Url::parse(text).map_err(|error| {
            Error::InvalidUrl(format!("the signed address cannot be read: {error}"))
        })?;
        Origin::of(&url)?;
        Ok(Self(url))
    }

    /// The same address with further parameters behind its own, for services that do not sign
    /// those.
    #[must_use]
    pub fn with(&self, further: &[(&str, &str)]) -> Self {
        let mut url = self.0.clone();
        url.query_pairs_mut().extend_pairs(further);
        Self(url)
    }

    /// The whole address, secret included.
    pub fn expose(&self) -> &Url {
        &self.0
    }

    /// Twelve hex digits that tell two addresses apart in a log.
    pub fn digest(&self) -> String {
        digest(&self.0)
    }
}

/// Twelve hex digits of an address's SHA-256.
pub(super) fn digest(url: &Url) -> String {
    hex::encode(&Sha256::digest(url.as_str().as_bytes())[..6])
}

impl fmt::Display for SignedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}://{}/…#{}",
            self.0.scheme(),
            self.0.host_str().unwrap_or_default(),
            self.digest()
        )
    }
}

impl fmt::Debug for SignedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignedUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_differ_by_scheme_host_and_port_and_default_ports_are_filled_in() {
        let of = |text: &str| Origin::of(&Url::parse(text).unwrap()).unwrap();
        assert_eq!(
            of("https://CS.example.com/a"),
            of("https://cs.example.com:443/b?c")
        );
        assert_ne!(of("https://cs.example.com"), of("http://cs.example.com"));
        assert_ne!(
            of("https://cs.example.com"),
            of("https://cs.example.com:8443")
        );
        assert_eq!(of("http://[::1]:80/").to_string(), "http://[::1]:80");
    }

    #[test]
    fn addresses_that_are_not_http_or_carry_a_password_are_refused_without_repeating_them() {
        for text in [
            "file:///etc/passwd",
            "data:text/plain,hello",
            "ftp://host/x",
            "https://user:canary@host/",
            "https://canary@host/",
        ] {
            let error = Origin::of(&Url::parse(text).unwrap()).unwrap_err();
            assert!(matches!(error, Error::InvalidUrl(_)));
            assert!(!error.to_string().contains("canary"), "{error}");
        }
        let error = SignedUrl::parse("https://[canary/?sig=canary").unwrap_err();
        assert!(!error.to_string().contains("canary"), "{error}");
    }

    #[test]
    fn a_signed_address_prints_its_host_and_a_digest_only() {
        let signed =
            SignedUrl::parse("https://bucket.example.com/key/canary?X-Amz-Signature=canary")
                .unwrap();
        for text in [signed.to_string(), format!("{signed:?}")] {
            assert!(text.contains("bucket.example.com"), "{text}");
            assert!(text.contains(&signed.digest()), "{text}");
            assert!(!text.contains("canary"), "{text}");
        }
    }

    #[test]
    fn credentials_print_nothing_and_make_sensitive_values() {
        let origin = Origin::of(&Url::parse("https://a.example").unwrap()).unwrap();
        let credential = Credential::new(
            origin,
            vec![(HeaderName::from_static("auth-token"), "canary".into())],
        );
        assert!(!format!("{credential:?}").contains("canary"));
        let values = credential.values().unwrap();
        assert!(values[0].1.is_sensitive());
    }
}
