//! Addresses of each vendor: made and checked.
//!
//! S3 and Google sign method, path and query; Azure signs what may be done and until when, so that
//! further parameters can be added.

use hmac::{Hmac, KeyInit, Mac};
use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::Sha256;

use super::{Bucket, Exchange, Reply, expired, refusal};

/// Everything but unreserved characters and the slash is escaped in a key.
const KEY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// The key that signs; a simulator has no secrets.
const SECRET: &[u8] = b"longhaul simulated bucket";

/// Whose manner an address and what stands behind it have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vendor {
    /// Amazon S3 and its kin.
    S3,
    /// Google Cloud Storage.
    Google,
    /// Azure Blob Storage.
    Azure,
}

impl Vendor {
    /// The vendor behind a storage method of iconik.
    pub fn of(method: &str) -> Self {
        match method {
            "GCS" => Self::Google,
            "AZURE" => Self::Azure,
            _ => Self::S3,
        }
    }

    /// What stands before the signature, which is last.
    fn mark(self) -> &'static str {
        match self {
            Self::S3 => "&X-Amz-Signature=",
            Self::Google => "&X-Goog-Signature=",
            Self::Azure => "&sig=",
        }
    }
}

impl Bucket {
    /// A signed address for `method` on `key`, valid from now on. With `attachment` the object
    /// comes back as a download of that name.
    pub fn sign(
        &self,
        vendor: Vendor,
        method: &str,
        key: &str,
        attachment: Option<&str>,
    ) -> String {
        let disposition =
            attachment.map(|name| format!("attachment; filename=\"{}\"", name.replace('"', "'")));
        let name = match vendor {
            Vendor::Azure => "rscd",
            Vendor::S3 | Vendor::Google => "response-content-disposition",
        };
        let further = disposition.iter();
        let further: Vec<(&str, &str)> = further.map(|value| (name, value.as_str())).collect();
        self.sign_with(vendor, method, key, &further)
    }

    /// The same with further parameters, as the parts of an upload have them.
    pub fn sign_with(
        &self,
        vendor: Vendor,
        method: &str,
        key: &str,
        further: &[(&str, &str)],
    ) -> String {
        let now = self.0.clock.now();
        let mut inner = self.inner();
        inner.serial += 1;
        let path = format!("/masters/{}", utf8_percent_encode(key, KEY));
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let end = now.as_millisecond().saturating_add_unsigned(inner.ttl_ms);
        let date = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let seconds = inner.ttl_ms.div_ceil(1000).to_string();
        match vendor {
            Vendor::S3 => query
                .append_pair("X-Amz-Algorithm", "AWS4-HMAC-SHA256")
                .append_pair(
                    "X-Amz-Credential",
                    "SIMULATED/20260105/eu-west-1/s3/aws4_request",
                )
                .append_pair("X-Amz-Date", &date)
                .append_pair("X-Amz-Expires", &seconds)
                .append_pair("X-Amz-SignedHeaders", "host"),
            Vendor::Google => query
                .append_pair("X-Goog-Algorithm", "GOOG4-RSA-SHA256")
                .append_pair(
                    "X-Goog-Credential",
                    "simulated@longhaul/20260105/auto/storage/goog4_request",
                )
                .append_pair("X-Goog-Date", &date)
                .append_pair("X-Goog-Expires", &seconds)
                .append_pair(
                    "X-Goog-SignedHeaders",
                    if method == "POST" {
                        "host;x-goog-resumable"
                    } else {
                        "host"
                    },
                ),
            Vendor::Azure => {
                let until = jiff::Timestamp::from_millisecond(end.saturating_add(999));
                let until = until.unwrap_or(now).strftime("%Y-%m-%dT%H:%M:%SZ");
                let may = match method {
                    "GET" => "r",
                    _ => inner.azure_may,
                };
                query
                    .append_pair("sv", "2024-11-04")
                    .append_pair("sr", "b")
                    .append_pair("se", &until.to_string())
                    .append_pair("sp", may)
            }
        };
        query.extend_pairs(further);
        // The real services count whole seconds; tests want links that live shorter.
        let query = query
            .append_pair("x-end-ms", &end.to_string())
            .append_pair("x-serial", &inner.serial.to_string())
            .finish();
        let method = match vendor {
            Vendor::Azure => "",
            Vendor::S3 | Vendor::Google => method,
        };
        let signature = signature(method, &path, &query);
        format!("{}{path}?{query}{}{signature}", inner.url, vendor.mark())
    }

    /// What Azure's addresses for writing allow: `rcw`, or `cw` where they may not read.
    pub fn set_azure_may(&self, may: &'static str) {
        self.inner().azure_may = may;
    }

    /// Checks signature and expiry; gives the signature, which names the link, and whose it is.
    pub(super) fn check(&self, exchange: &Exchange) -> Result<(String, Vendor), Box<Reply>> {
        let query = exchange.uri.query().unwrap_or("");
        let vendors = [Vendor::S3, Vendor::Google, Vendor::Azure];
        let found = vendors.into_iter().find_map(|vendor| {
            let (signed, given) = query.split_once(vendor.mark())?;
            Some((vendor, signed, given))
        });
        let Some((vendor, signed, given)) = found else {
            return Err(refusal(403, "AccessDenied", "Access Denied").into());
        };
        let parameters = exchange.query();
        let (method, given) = match vendor {
            // What follows is not signed.
            Vendor::Azure => ("", given.split('&').next().unwrap_or_default()),
            Vendor::S3 | Vendor::Google => (exchange.method.as_str(), given),
        };
        let headers = parameters.get("X-Goog-SignedHeaders");
        let lacks = headers.is_some_and(|signed| signed.contains("x-goog-resumable"))
            && exchange.header("x-goog-resumable") != Some("start");
        if lacks || signature(method, exchange.path(), signed) != given {
            return Err(refusal(
                403,
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided.",
            )
            .into());
        }
        let end: i64 = parameters
            .get("x-end-ms")
            .and_then(|end| end.parse().ok())
            .unwrap_or(0);
        if exchange.faults.expire_url() || self.0.clock.now_ms() >= end {
            return Err(expired().into());
        }
        if vendor == Vendor::Azure {
            let needs = match exchange.method {
                Method::GET | Method::HEAD => 'r',
                _ => 'w',
            };
            if !parameters.get("sp").is_some_and(|may| may.contains(needs)) {
                return Err(refusal(
                    403,
                    "AuthorizationPermissionMismatch",
                    "This request is not authorized to perform this operation using this permission.",
                )
                .into());
            }
        }
        Ok((given.to_owned(), vendor))
    }
}

fn signature(method: &str, path: &str, query: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET).expect("HMAC takes keys of any length");
    mac.update(format!("{method}\n{path}\n{query}").as_bytes());
    hex::encode(mac.finalize().into_bytes())
}
