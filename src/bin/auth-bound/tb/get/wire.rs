//! A TLS connection that HTTP runs on while its exporter stays in reach.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use openssl::ssl::SslRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

/// Most bytes that are read at once.
const CHUNK: usize = 16 * 1024;

/// The connection. HTTP has one half of it; the other one asks, before each request, what it
/// exports: a renegotiation may have changed that.
#[derive(Clone)]
pub(super) struct Wire(Arc<Mutex<SslStream<TcpStream>>>);

impl Wire {
    pub(super) fn new(stream: SslStream<TcpStream>) -> Self {
        Self(Arc::new(Mutex::new(stream)))
    }

    /// Asks something of the connection.
    pub(super) fn ask<T>(&self, question: impl FnOnce(&SslRef) -> T) -> T {
        question(self.stream().ssl())
    }

    fn stream(&self) -> MutexGuard<'_, SslStream<TcpStream>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Read for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut out: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut bytes = [0; CHUNK];
        let room = bytes.get_mut(..out.remaining().min(CHUNK)).unwrap_or_default();
        let mut read = ReadBuf::new(room);
        ready!(Pin::new(&mut *self.stream()).poll_read(context, &mut read))?;
        out.put_slice(read.filled());
        Poll::Ready(Ok(()))
    }
}

impl Write for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.stream()).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream()).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream()).poll_shutdown(context)
    }
}
