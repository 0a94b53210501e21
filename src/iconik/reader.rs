//! Reads masters: iconik as a [`Source`].
//!
//! A file's address is signed just before it is used and renewed when the storage refuses it; the
//! bytes themselves come from the bucket, not from iconik. The first touch is a GET of one byte,
//! because a signed address is good for one method only and HEAD is another.

use ::http::header::RANGE;
use ::http::{HeaderValue, Method as Verb, StatusCode};
use futures::{FutureExt as _, StreamExt as _};

use super::bucket::{self, Head};
use super::signed::Entry;
use super::{Client, File, FileStatus, Locator, Method, mount};
use crate::http::{self, Request, Response, SignedUrl};
use crate::transfer::{Answer, ByteStream, Opened, Restore, Source, SourceFile, Validator};
use crate::types::{ByteRange, Failure, FailureClass, Reason};

/// Most of an error page that is read.
const REFUSAL_LIMIT: usize = 64 << 10;

/// The masters of one account as a source. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reader {
    pub(super) client: Client,
}

impl Client {
    /// The masters of this account.
    pub fn reader(&self) -> Reader {
        Reader {
            client: self.clone(),
        }
    }
}

impl Source for Reader {
    fn open<'a>(&'a self, file: &'a SourceFile) -> Answer<'a, Opened> {
        self.open_file(file).boxed()
    }

    fn read<'a>(
        &'a self,
        file: &'a SourceFile,
        range: ByteRange,
        pin: &'a Validator,
    ) -> Answer<'a, ByteStream> {
        self.read_range(file, range, pin).boxed()
    }

    fn renew<'a>(&'a self, file: &'a SourceFile) -> Answer<'a, ()> {
        async move {
            let at = Locator::parse(&file.locator)?;
            if at.method == Method::File {
                return Ok(());
            }
            Ok(self.client.renew_address(&at).await?)
        }
        .boxed()
    }

    fn restore<'a>(&'a self, file: &'a SourceFile) -> Answer<'a, Restore> {
        self.restore_file(file).boxed()
    }

    fn reachable(&self) -> Answer<'_, ()> {
        async { Ok(self.client.ping().await?) }.boxed()
    }
}

impl Reader {
    async fn open_file(&self, file: &SourceFile) -> Result<Opened, Failure> {
        let at = Locator::parse(&file.locator)?;
        let named = |failure: Failure| failure.context(&file.name);
        let mut entry = self.client.address_and_row(&at).await?;
        if entry.row.size != Some(file.size) {
            // What was kept may be older than the plan.
            entry = self.client.address_now(&at).await?;
        }
        complete(&entry.row).map_err(named)?;
        if let Some(size) = entry.row.size
            && size != file.size
        {
            return Err(named(other_size(size, file.size)));
        }
        let mut opened = if at.method == Method::File || entry.url.is_none() {
            let mount = self.client.mount_of(&at).await.map_err(named)?;
            mount::open(mount, &at).await.map_err(named)?
        } else {
            self.probe(&at, &entry, file.size).await.map_err(named)?
        };
        if opened.validator.size != file.size {
            return Err(named(other_size(opened.validator.size, file.size)));
        }
        opened.md5 = entry.row.md5();
        Ok(opened)
    }

    /// Asks for the first byte, and learns from the answer what the object is.
    pub(super) async fn probe(
        &self,
        at: &Locator,
        entry: &Entry,
        size: u64,
    ) -> Result<Opened, Failure> {
        let url = address(entry)?;
        // No range of an empty object can be satisfied: it is fetched plainly and must be empty.
        let range = (size > 0).then(|| ByteRange::new(0, 1));
        let response = self.get(at, entry, url, range).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let opened = |head: Head, ranges| Opened {
            validator: head.validator(),
            ranges,
            md5: None,
        };
        let Some(range) = range else {
            let head = bucket::head(status, &headers, ByteRange::new(0, 0), Some(0))?;
            if !response.bytes(1).await.map_err(body_failure)?.is_empty() {
                return Err(other_size(1, 0));
            }
            return Ok(opened(head, true));
        };
        match bucket::head(status, &headers, range, Some(size)) {
            Ok(head) if head.partial => {
                // Taken off the wire, the byte leaves the connection usable.
                response.bytes(1).await.map_err(body_failure)?;
                Ok(opened(head, true))
            }
            // A store without ranges; dropping the body closes its connection.
            Ok(head) => Ok(opened(head, false)),
            Err(failure) => Err(failure),
        }
    }

    async fn read_range(
        &self,
        file: &SourceFile,
        range: ByteRange,
        pin: &Validator,
    ) -> Result<ByteStream, Failure> {
        let at = Locator::parse(&file.locator)?;
        let named = |failure: Failure| failure.context(format_args!("{} {range}", file.name));
        if at.method == Method::File {
            let mount = self.client.mount_of(&at).await.map_err(named)?;
            return mount::read(mount, &at, range, pin).await.map_err(named);
        }
        let entry = self.client.address(&at).await?;
        let Some(url) = &entry.url else {
            let mount = self.client.mount_of(&at).await.map_err(named)?;
            return mount::read(mount, &at, range, pin).await.map_err(named);
        };
        let response = self
            .get(&at, &entry, url, Some(range))
            .await
            .map_err(named)?;
        let whole = (range.start == 0 && range.end == pin.size).then_some(pin.size);
        bucket::head(response.status(), response.headers(), range, whole)
            .and_then(|head| head.check(pin))
            .map_err(named)?;
        let name = file.name.clone();
        Ok(response
            .exactly(range.len())
            .map(move |frame| {
                frame.map_err(|error| body_failure(error).context(format_args!("{name} {range}")))
            })
            .boxed())
    }

    /// Sends one GET to the storage; only a success is `Ok`.
    async fn get(
        &self,
        at: &Locator,
        entry: &Entry,
        url: &SignedUrl,
        range: Option<ByteRange>,
    ) -> Result<Response, Failure> {
        let mut request = Request::signed(Verb::GET, url);
        if let Some(range) = range {
            let text = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
            let value = HeaderValue::try_from(text).expect("digits are a header value");
            request = request.header(RANGE, value);
        }
        let response = self
            .client
            .0
            .http
            .send(request)
            .await
            .map_err(Failure::from)?;
        let status = response.status();
        if matches!(status, StatusCode::OK | StatusCode::PARTIAL_CONTENT) {
            return Ok(response);
        }
        let headers = response.headers().clone();
        let retry_after = response.retry_after();
        // What it says only sharpens what its status says.
        let body = response.bytes(REFUSAL_LIMIT).await.unwrap_or_default();
        let failure = bucket::refusal(status, &headers, &body, retry_after);
        if failure.class == FailureClass::Resign {
            self.client.address_refused(at, entry.generation).await;
        }
        Err(failure)
    }
}

fn address(entry: &Entry) -> Result<&SignedUrl, Failure> {
    entry.url.as_ref().ok_or_else(|| {
        Failure::item(
            Reason::Other,
            "iconik gives no address for the file; is its storage reachable",
        )
    })
}

/// A body that broke off is read again from where it stopped, whatever else the failure says.
fn body_failure(error: http::Error) -> Failure {
    let mut failure = error.into_failure();
    if failure.class == FailureClass::ItemIsWrong {
        failure.class = FailureClass::RetryNow;
    }
    failure.reason = Reason::Other;
    failure
}

fn other_size(now: u64, planned: u64) -> Failure {
    Failure::item(
        Reason::SourceChanged,
        format!("the file has {now} bytes now, planned were {planned}; plan it again"),
    )
}

/// Whether a row promises whole bytes, and if not, whether waiting helps.
pub(super) fn complete(row: &File) -> Result<(), Failure> {
    let status = &row.status;
    let (class, reason) = match status {
        FileStatus::Closed => return Ok(()),
        FileStatus::Open | FileStatus::Growing | FileStatus::Awaited | FileStatus::Rediscovered => {
            (FailureClass::RetryLater, Reason::Other)
        }
        FileStatus::Archived => (FailureClass::RetryLater, Reason::ColdStorage),
        FileStatus::Missing | FileStatus::Deleted => (FailureClass::ItemIsWrong, Reason::NotFound),
        FileStatus::Failed | FileStatus::Other(_) => (FailureClass::ItemIsWrong, Reason::Other),
    };
    let message = match reason {
        Reason::ColdStorage => "the file is archived in iconik".to_owned(),
        _ => format!(
            "the file is not complete in iconik (status {:?})",
            status.as_str()
        ),
    };
    Err(Failure::new(class, reason, message))
}
