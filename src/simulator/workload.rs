//! Synthetic masters in systems set up for measuring: what `longhaul bench` and the benches stand
//! on.

use std::time::Duration;

use super::campaign::{AssetSpec, Campaign, Checksum, FileSpec};
use super::content_server::{self, Keep, Multipart};
use super::iconik::Quirks;
use super::server::LinkSettings;
use super::{Options, Simulator};
use crate::types::{ByteCount, GIB, KIB, MIB};

/// Masters of one size and the ends they go between. Nothing slows them that is not set here:
/// iconik's call limit is off.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Masters, an asset each.
    pub count: u64,
    /// Bytes of each.
    pub size: ByteCount,
    /// Part size of upload sessions.
    pub part_size: ByteCount,
    /// Whether every master goes as one form POST instead.
    pub single_post: bool,
    /// Whether iconik quotes an MD5 of each.
    pub md5: bool,
    /// Whether content can be read back; otherwise it is counted and dropped.
    pub readable: bool,
    /// Requests per second that iconik allows; `None` for any number.
    pub calls_per_second: Option<u32>,
    /// The link in front of the bucket.
    pub bucket_link: LinkSettings,
    /// The link in front of Content Server.
    pub content_server_link: LinkSettings,
}

impl Workload {
    /// `count` masters of `size` bytes, in parts of 16 MiB, over links as fast as the machine.
    pub fn new(count: u64, size: ByteCount) -> Self {
        Self {
            count,
            size,
            part_size: 16 * MIB,
            single_post: false,
            md5: false,
            readable: false,
            calls_per_second: None,
            bucket_link: LinkSettings::default(),
            content_server_link: LinkSettings::default(),
        }
    }

    /// Bytes of all masters; `None` when that is no number.
    pub fn total(&self) -> Option<ByteCount> {
        self.size.checked_mul(self.count)
    }

    /// Both systems, set up for it.
    pub fn options(&self) -> Options {
        let checksum = match self.md5 {
            true => Checksum::Md5,
            false => Checksum::Absent,
        };
        let campaign = (1..=self.count).fold(Campaign::new(), |campaign, number| {
            let file = FileSpec::generated(&format!("master-{number:05}.mxf"), number, self.size);
            campaign.asset(AssetSpec::new(
                &format!("Master {number:05}"),
                vec![file.checksum(checksum.clone())],
            ))
        });
        let defaults = Options::with(campaign);
        Options {
            content_server: content_server::Config {
                keep: match self.readable {
                    true => Keep::Recognise,
                    false => Keep::Count,
                },
                request_limit: Duration::from_secs(1800),
                multipart: Multipart {
                    enabled: !self.single_post,
                    min_size: 64 * KIB,
                    max_size: self.size.saturating_add(GIB),
                    part_size: self.part_size,
                    ..Multipart::default()
                },
                ..defaults.content_server
            },
            quirks: Quirks {
                calls_per_second: self.calls_per_second,
                ..defaults.quirks
            },
            bucket_link: self.bucket_link.clone(),
            content_server_link: self.content_server_link.clone(),
            ..defaults
        }
    }

    /// A settings file for a simulator of it, up to and into `[content_server]`: the settings of
    /// that section that the caller adds come next.
    pub fn settings_toml(&self, simulator: &Simulator) -> String {
        let calls = self.calls_per_second.unwrap_or(100_000);
        let settings = simulator.settings_toml().replace(
            "[iconik]\n",
            // Loopback is no line: algorithms that pace themselves would be measured instead.
            &format!("[network]\ncongestion_control = \"cubic\"\n\n[iconik]\ncalls_per_second = {calls}\n"),
        );
        format!("{settings}single_post_max = \"{} B\"\n", self.size.max(GIB))
    }
}
