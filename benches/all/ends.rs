//! What stands around the simulated systems: addresses for the yardstick, TLS in front.

use std::net::SocketAddr;
use std::sync::Arc;

use longhaul::simulator::Simulator;
use longhaul::simulator::bucket::{Object, Vendor};
use longhaul::simulator::masters::Master;
use longhaul::simulator::workload::Workload;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

/// Buffer of the sink and of each direction through TLS.
const BUFFER: usize = 256 << 10;

/// A listener that lives as long as this.
pub(crate) struct Listening {
    pub(crate) address: SocketAddr,
    _task: AbortOnDropHandle<()>,
}

pub(crate) async fn listen<F>(
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) -> anyhow::Result<Listening>
where
    F: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let task = tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let _ = tcp.set_nodelay(true);
            let _ = socket2::SockRef::from(&tcp).set_tcp_congestion(b"cubic");
            tokio::spawn(serve(tcp));
        }
    });
    Ok(Listening {
        address,
        _task: AbortOnDropHandle::new(task),
    })
}

/// A certificate for `localhost`, and the server side that shows it.
pub(crate) struct Tls {
    /// The certificate, to be trusted.
    pub(crate) pem: String,
    config: Arc<rustls::ServerConfig>,
}

impl Tls {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
        let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)?;
        Ok(Self {
            pem: made.cert.pem(),
            config: Arc::new(config),
        })
    }

    /// TLS in front of `plain`.
    pub(crate) async fn front(&self, plain: SocketAddr) -> anyhow::Result<Listening> {
        let config = Arc::clone(&self.config);
        listen(move |tcp| {
            let acceptor = tokio_rustls::TlsAcceptor::from(Arc::clone(&config));
            async move {
                let reader = tokio::io::BufReader::with_capacity(BUFFER, tcp);
                let mut outside = acceptor
                    .accept_with(reader, |tls| tls.set_buffer_limit(Some(BUFFER)))
                    .await?;
                let mut inside = TcpStream::connect(plain).await?;
                inside.set_nodelay(true)?;
                socket2::SockRef::from(&inside).set_tcp_congestion(b"cubic")?;
                tokio::io::copy_bidirectional_with_sizes(&mut outside, &mut inside, BUFFER, BUFFER)
                    .await?;
                Ok(())
            }
        })
        .await
    }
}

/// The socket address in an address.
pub(crate) fn address_of(url: &str) -> anyhow::Result<SocketAddr> {
    let url = url::Url::parse(url)?;
    Ok(format!(
        "{}:{}",
        url.host_str().unwrap_or_default(),
        url.port().unwrap_or_default()
    )
    .parse()?)
}

/// Signed addresses of a workload's masters, as iconik would hand them out.
pub(crate) fn addresses(simulator: &Simulator, workload: &Workload) -> Vec<String> {
    let bucket = &simulator.parts().bucket;
    (1..=workload.count)
        .map(|number| {
            let key = format!("yardstick/{number}");
            let master = Master::generated(number, workload.size);
            bucket.put(&key, Object::new(master, &key));
            bucket.sign(Vendor::S3, "GET", &key, None)
        })
        .collect()
}
