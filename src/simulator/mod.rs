//! Both systems as loopback servers, with faults, slow links and generated masters.
//!
//! A [`Simulator`] serves iconik, the bucket behind its signed addresses, Content Server and a
//! control endpoint, each on its own port of this machine. The demonstration, the tests and the
//! benches use it in process; `longhaul simulate` serves it to others.
//!
//! It is written from the published descriptions of both systems and shares no type with the
//! clients, so that a misreading is not made twice. What the descriptions leave open is a switch
//! ([`iconik::Quirks`], [`content_server::Config`]); what can go wrong on the way is a rule
//! ([`faults`]); both may change while it runs, from the same process or through [`control`].
//!
//! It leaves authentication to fixed, well-known words and TLS to nobody: it listens on loopback
//! only and is no server for anything else.

pub mod bucket;
pub mod campaign;
pub mod clock;
pub mod content_server;
pub mod control;
pub mod faults;
pub mod iconik;
pub mod masters;
pub mod server;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod workload;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use self::bucket::Bucket;
use self::campaign::{AssetSpec, Campaign};
use self::clock::Clock;
use self::content_server::{Attribute, AttributeKind, ContentServer};
use self::faults::{Faults, System};
use self::iconik::{Iconik, Quirks};
use self::masters::Master;
use self::server::{History, Link, LinkSettings, Server};
use crate::types::{ByteCount, GIB, KIB, MIB};

/// The user of Content Server that masters are filed for.
pub const USER: &str = "svc-longhaul";

/// That user's password.
pub const PASSWORD: &str = "simulated";

/// Masters from this size on can be kept by Content Server as references; smaller ones are as
/// cheap to store.
const REGISTERED: ByteCount = 256 * KIB;

/// Loopback ports; 0 takes a free one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// iconik.
    pub iconik: u16,
    /// The bucket.
    pub bucket: u16,
    /// Content Server.
    pub content_server: u16,
    /// The control endpoint.
    pub control: u16,
}

/// How a simulator is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it listens.
    pub ports: Ports,
    /// What lies in iconik.
    pub campaign: Campaign,
    /// Content Server's switches, its upload sessions and request limit among them.
    pub content_server: content_server::Config,
    /// iconik's habits.
    pub quirks: Quirks,
    /// How long a signed address lives.
    pub url_ttl: Duration,
    /// The link in front of iconik.
    pub iconik_link: LinkSettings,
    /// The link in front of the bucket.
    pub bucket_link: LinkSettings,
    /// The link in front of Content Server.
    pub content_server_link: LinkSettings,
    /// Rules that hold from the start.
    pub faults: Faults,
}

impl Default for Options {
    /// The small campaign; upload sessions from 4 MiB on in parts of 1 MiB, so that small masters
    /// have several; a request limit of two seconds, so that waiting for it is short.
    fn default() -> Self {
        Self {
            ports: Ports::default(),
            campaign: campaign::small(),
            content_server: content_server::Config {
                request_limit: Duration::from_secs(2),
                index_lag: Duration::ZERO,
                multipart: content_server::Multipart {
                    min_size: 4 * MIB,
                    max_size: 64 * GIB,
                    part_size: MIB,
                    ..content_server::Multipart::default()
                },
                ..content_server::Config::default()
            },
            quirks: Quirks::default(),
            url_ttl: Duration::from_secs(24 * 3600),
            iconik_link: LinkSettings::default(),
            bucket_link: LinkSettings::default(),
            content_server_link: LinkSettings::default(),
            faults: Faults::new(),
        }
    }
}

impl Options {
    /// The defaults with this campaign.
    pub fn with(campaign: Campaign) -> Self {
        Self {
            campaign,
            ..Self::default()
        }
    }
}

/// Why a simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port is taken, or the spool for content cannot be made.
    #[error("cannot start the simulated {system}")]
    Io {
        /// Which part.
        system: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The links in front of the systems.
#[derive(Clone, Debug, Default)]
pub struct Links {
    /// iconik's.
    pub iconik: Link,
    /// The bucket's.
    pub bucket: Link,
    /// Content Server's.
    pub content_server: Link,
}

/// Both systems, running. Stops when dropped.
pub struct Simulator {
    parts: Arc<Parts>,
    iconik: Server,
    bucket: Server,
    content_server: Server,
    control: Server,
}

/// Everything the control endpoint steers; alive as long as anyone asks.
pub struct Parts {
    /// The iconik service.
    pub iconik: Arc<Iconik>,
    /// The bucket.
    pub bucket: Bucket,
    /// The Content Server service.
    pub content_server: Arc<ContentServer>,
    /// Rules for all three.
    pub faults: Faults,
    /// The log of all three.
    pub history: History,
    /// The clock of all three.
    pub clock: Clock,
    /// The links.
    pub links: Links,
    /// Name of the campaign.
    pub campaign: String,
    /// Sections of a settings file that the campaign brings.
    pub settings: String,
    /// Folder that masters are published in.
    pub target: i64,
    /// Folder for unfinished ones.
    pub staging: i64,
}

impl Simulator {
    /// Builds both systems and serves them.
    ///
    /// # Errors
    ///
    /// [`StartError`]: a port is taken, or there is no room for Content Server's spool.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let failed = |system| move |source| StartError::Io { system, source };
        let clock = Clock::default();
        let history = History::new();
        let links = Links {
            iconik: Link::new(options.iconik_link),
            bucket: Link::new(options.bucket_link),
            content_server: Link::new(options.content_server_link),
        };
        let config = |system, port, link: &Link| server::Config {
            system,
            port,
            request_limit: None,
            link: link.clone(),
            faults: options.faults.clone(),
            history: history.clone(),
        };

        let ttl = u64::try_from(options.url_ttl.as_millis()).unwrap_or(u64::MAX);
        let bucket = Bucket::new(clock.clone(), ttl);
        let bucket_server = Server::start(
            config(System::Bucket, options.ports.bucket, &links.bucket),
            Arc::new(bucket.clone()),
        )
        .await
        .map_err(failed("bucket"))?;
        bucket.set_url(&bucket_server.url());

        let iconik = Iconik::new(
            &options.campaign,
            clock.clone(),
            bucket.clone(),
            options.quirks,
        );
        let iconik_server = Server::start(
            config(System::Iconik, options.ports.iconik, &links.iconik),
            Arc::clone(&iconik) as Arc<dyn server::Service>,
        )
        .await
        .map_err(failed("iconik"))?;

        let content_server = ContentServer::with_clock(options.content_server, clock.clone())
            .map_err(failed("Content Server"))?;
        let (target, staging) = furnish(&content_server);
        for map in &options.campaign.workflows {
            for step in &map.steps {
                if let Some(login) = &step.assignee {
                    content_server.ensure_user(login, PASSWORD);
                }
            }
            content_server.add_workflow_map(map.clone());
        }
        let mut settings = options.campaign.settings.clone();
        for name in &options.campaign.records_classes {
            let class = content_server.add_records_class(name);
            settings = settings.replace(&format!("<{name}>"), &class.to_string());
        }
        for master in masters(&options.campaign) {
            content_server.register(master);
        }
        let port = options.ports.content_server;
        let content_server_server = content_server
            .serve(config(System::ContentServer, port, &links.content_server))
            .await
            .map_err(failed("Content Server"))?;

        let parts = Arc::new(Parts {
            iconik,
            bucket,
            content_server,
            faults: options.faults.clone(),
            history: history.clone(),
            clock,
            links,
            campaign: options.campaign.name.clone(),
            settings,
            target,
            staging,
        });
        let control = Server::start(
            // Its own log: watching leaves no trace in the one watched.
            server::Config {
                port: options.ports.control,
                ..server::Config::new(System::Control)
            },
            control::Control::new(Arc::clone(&parts)),
        )
        .await
        .map_err(failed("control endpoint"))?;
        Ok(Self {
            parts,
            iconik: iconik_server,
            bucket: bucket_server,
            content_server: content_server_server,
            control,
        })
    }

    /// The services, rules, log and clock.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// The iconik service.
    pub fn iconik(&self) -> &Arc<Iconik> {
        &self.parts.iconik
    }

    /// The Content Server service.
    pub fn content_server(&self) -> &Arc<ContentServer> {
        &self.parts.content_server
    }

    /// Rules for all systems.
    pub fn faults(&self) -> &Faults {
        &self.parts.faults
    }

    /// The log of all systems.
    pub fn history(&self) -> &History {
        &self.parts.history
    }

    /// iconik's address: the host part, without `/API`.
    pub fn iconik_url(&self) -> String {
        self.iconik.url()
    }

    /// The bucket's address.
    pub fn bucket_url(&self) -> String {
        self.bucket.url()
    }

    /// Content Server's address, ending in the CGI path.
    pub fn content_server_url(&self) -> String {
        let cgi = self.parts.content_server.config().cgi;
        format!("{}{cgi}", self.content_server.url())
    }

    /// The control endpoint's address, ending in `/__control`.
    pub fn control_url(&self) -> String {
        format!("{}{}", self.control.url(), control::PREFIX)
    }

    /// The collection to migrate.
    pub fn collection(&self) -> String {
        self.parts.iconik.collection()
    }

    /// Everything a client needs to know, its settings file included.
    pub fn connection_json(&self) -> Value {
        json!({
            "iconik": {
                "url": self.iconik_url(),
                "app_id": self.parts.iconik.app_id(),
                "token": self.parts.iconik.token(),
                "collection": self.collection(),
            },
            "content_server": {
                "url": self.content_server_url(),
                "user": USER,
                "password": PASSWORD,
                "target": self.parts.target,
                "staging": self.parts.staging,
            },
            "bucket": {"url": self.bucket_url()},
            "control": {"url": self.control_url()},
            "toml": self.settings_toml(),
        })
    }

    /// A settings file for this simulator. It holds secrets (that are none), so it has to be
    /// readable by its owner only.
    pub fn settings_toml(&self) -> String {
        let limit = self.parts.content_server.config().request_limit;
        let limit_ms = limit.as_millis();
        // A margin beyond the limit for a machine that is busy with other things.
        let quiet_ms = limit_ms + 1_000;
        format!(
            "{settings}[iconik]\n\
             url = \"{iconik}\"\n\
             app_id = \"{app_id}\"\n\
             token = \"{token}\"\n\
             \n\
             [content_server]\n\
             url = \"{content_server}\"\n\
             auth = {{ user = \"{USER}\", password = \"{PASSWORD}\" }}\n\
             target = {{ folder = {target}, staging = {staging} }}\n\
             request_limit = \"{limit_ms} ms\"\n\
             commit_quiet = \"{quiet_ms} ms\"\n",
            iconik = self.iconik_url(),
            app_id = self.parts.iconik.app_id(),
            token = self.parts.iconik.token(),
            content_server = self.content_server_url(),
            target = self.parts.target,
            staging = self.parts.staging,
            settings = self.parts.settings,
        )
    }

    /// Body bytes that the bucket has moved so far.
    pub fn bytes_read(&self) -> u64 {
        self.bucket.moved()
    }

    /// Body bytes that Content Server has moved so far, both ways.
    pub fn bytes_written(&self) -> u64 {
        self.content_server.moved()
    }

    /// Stops every server; open connections may finish for a moment.
    pub async fn stop(self) {
        let servers = [self.iconik, self.bucket, self.content_server, self.control];
        futures::future::join_all(servers.map(Server::stop)).await;
    }
}

/// Makes the user and the folders; gives the target and the staging folder.
fn furnish(server: &ContentServer) -> (i64, i64) {
    let user = server.add_user(content_server::User {
        name: USER.to_owned(),
        password: PASSWORD.to_owned(),
        administrator: false,
    });
    let archive = server.add_folder(content_server::ENTERPRISE, "Media archive");
    let target = server.add_folder(archive, "Masters");
    let staging = server.add_folder(archive, "In transit");
    let everything = [
        "see",
        "see_contents",
        "modify",
        "edit_attributes",
        "add_items",
        "reserve",
        "add_major_version",
        "delete_versions",
        "delete",
        "edit_permissions",
    ];
    // Nobody else sees what is not finished.
    let hidden = server
        .publish(staging, &[])
        .and_then(|()| server.grant(staging, user, &everything))
        .and_then(|()| server.grant(target, user, &everything));
    debug_assert_eq!(hidden, Ok(()), "the rights have these names");
    let (title, shot) = (AttributeKind::Text, AttributeKind::Date);
    server.add_category(
        "Media asset",
        vec![
            Attribute::new(2, "Title", title.clone()),
            Attribute::new(3, "Keywords", title).multiple(),
            Attribute::new(4, "Shot on", shot),
            Attribute::new(5, "Takes", AttributeKind::Integer),
            Attribute::new(6, "Cleared", AttributeKind::Boolean),
        ],
    );
    let word = AttributeKind::Text;
    server.add_category(
        "Media record",
        vec![
            Attribute::new(2, "Project", word.clone()),
            Attribute::new(3, "Campaign", word.clone()),
            Attribute::new(4, "Rights status", word.clone()),
            Attribute::new(5, "Owner", word.clone()),
            Attribute::new(6, "Region", word.clone()).multiple(),
            Attribute::new(7, "Language", word.clone()),
            Attribute::new(8, "Expiry date", AttributeKind::Date),
            Attribute::new(
                9,
                "Rights",
                AttributeKind::Set(vec![
                    Attribute::new(2, "Licensor", word.clone()),
                    Attribute::new(3, "Licence", word),
                ]),
            )
            .multiple(),
        ],
    );
    server.add_classification("Finished media");
    server.add_classification("Source material");
    server.add_records_class("Finished masters");
    server.add_workspace_type(16, "Campaign");
    server.add_cross_reference_kind("Supporting document");
    server.add_cross_reference_kind("Superseded by");
    server.add_workflow("Release approval");
    let word = AttributeKind::Text;
    server.add_category(
        "Lifecycle",
        vec![
            Attribute::new(2, "Status", word.clone()),
            Attribute::new(3, "Since", AttributeKind::Date),
            Attribute::new(4, "Disposition", word),
        ],
    );
    (target, staging)
}

/// Masters worth keeping as references.
fn masters(campaign: &Campaign) -> Vec<Master> {
    let of = |asset: &AssetSpec| -> Vec<Master> {
        let formats = asset.versions.iter().flatten();
        let files = formats.flat_map(|f| &f.sets).flat_map(|s| &s.files);
        files
            .map(|f| f.master.clone())
            .filter(|m| m.size() >= REGISTERED)
            .collect()
    };
    campaign.assets.iter().flat_map(of).collect()
}
