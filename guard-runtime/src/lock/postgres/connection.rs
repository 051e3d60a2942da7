//! One connection to a server: bytes there and back, encrypted or not, each step with a deadline.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketAddrUnix, SocketFlags, SocketType, connect, recv, send,
    shutdown, socket_with, sockopt,
};
use rustls::ClientConnection;

use super::message::{self, Message};
use super::tls;
use super::url::{Host, Settings, socket_path};
use crate::descriptor::{Descriptor, above_standard};
use crate::lock::clock::{Time, timespec};

const CLOSED: &str = "the server closed the connection";

pub(super) struct Connection {
    socket: Arc<Descriptor>,
    tls: Option<Box<ClientConnection>>,
    /// Read, and not yet looked at.
    inbound: Vec<u8>,
}

impl Connection {
    /// Connects, and shakes hands where TLS is asked for.
    pub(super) fn open(settings: &Settings, deadline: Time) -> Result<Self, String> {
        let socket = match &settings.host {
            Host::Socket(directory) => connect_unix(&socket_path(directory, settings.port), deadline)?,
            Host::Name(name) => connect_tcp(name, settings.port, deadline)?,
        };
        let mut connection = Self { socket: Arc::new(socket), tls: None, inbound: Vec::new() };
        if let Some(verification) = settings.tls {
            let client = tls::client(settings, verification)?;
            connection.send(&message::ssl_request(), deadline)?;
            // Not a byte more: whatever an attacker sends behind the answer would count as encrypted.
            let mut answer = [0];
            connection.wait(PollFlags::IN, deadline)?;
            match receive(&connection.socket, &mut answer) {
                Ok(1) if answer == *b"S" => {}
                Ok(1) if answer == *b"N" => {
                    return Err("the server takes no TLS: switch it on there, or write sslmode=disable".into());
                }
                Ok(0) => return Err(CLOSED.into()),
                Ok(_) => return Err("what answers there is no PostgreSQL server with TLS".into()),
                Err(error) => return Err(error.to_string()),
            }
            connection.tls = Some(client);
            connection.shake_hands(deadline)?;
        }
        Ok(connection)
    }

    /// For whoever waits for its end, or has to end it.
    pub(super) fn socket(&self) -> Arc<Descriptor> {
        self.socket.clone()
    }

    pub(super) fn send(&mut self, bytes: &[u8], deadline: Time) -> Result<(), String> {
        if self.tls.is_none() {
            let mut rest = bytes;
            while !rest.is_empty() {
                match transmit(&self.socket, rest) {
                    Ok(sent) => rest = &rest[sent..],
                    Err(Errno::AGAIN) => self.wait(PollFlags::OUT, deadline)?,
                    Err(error) => return Err(broken(error)),
                }
            }
            return Ok(());
        }
        if let Some(tls) = &mut self.tls {
            tls.writer().write_all(bytes).map_err(|error| error.to_string())?;
        }
        self.flush(deadline)
    }

    /// The next message, as soon as it is there.
    pub(super) fn next(&mut self, deadline: Time) -> Result<Message, String> {
        loop {
            if let Some(message) = self.taken()? {
                return Ok(message);
            }
            if !self.fill()? {
                self.wait(PollFlags::IN, deadline)?;
            }
        }
    }

    /// The next message, if it is there.
    pub(super) fn next_now(&mut self) -> Result<Option<Message>, String> {
        loop {
            if let Some(message) = self.taken()? {
                return Ok(Some(message));
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    fn taken(&mut self) -> Result<Option<Message>, String> {
        let Some((message, length)) = message::read(&self.inbound)? else { return Ok(None) };
        self.inbound.drain(..length);
        Ok(Some(message))
    }

    /// Reads what is there; false where nothing is.
    fn fill(&mut self) -> Result<bool, String> {
        let mut buffer = [0; 4096];
        let Some(tls) = &mut self.tls else {
            return match receive(&self.socket, &mut buffer) {
                Ok(0) => Err(CLOSED.into()),
                Ok(length) => {
                    self.inbound.extend_from_slice(&buffer[..length]);
                    Ok(true)
                }
                Err(Errno::AGAIN) => Ok(false),
                Err(error) => Err(broken(error)),
            };
        };
        loop {
            match tls.reader().read(&mut buffer) {
                Ok(0) => return Err(CLOSED.into()),
                Ok(length) => {
                    self.inbound.extend_from_slice(&buffer[..length]);
                    return Ok(true);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // Without the farewell that TLS asks for: what was sent ends here all the same.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Err(CLOSED.into()),
                Err(error) => return Err(error.to_string()),
            }
            match tls.read_tls(&mut Raw(&self.socket)) {
                Ok(0) => return Err(CLOSED.into()),
                Ok(_) => {
                    tls.process_new_packets().map_err(|error| tls::refused(&error))?;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(broken_io(&error)),
            }
        }
    }

    fn shake_hands(&mut self, deadline: Time) -> Result<(), String> {
        loop {
            self.flush(deadline)?;
            let Some(tls) = &mut self.tls else { return Ok(()) };
            if !tls.is_handshaking() {
                return Ok(());
            }
            match tls.read_tls(&mut Raw(&self.socket)) {
                Ok(0) => return Err(format!("{CLOSED} in the middle of the TLS handshake")),
                Ok(_) => {
                    if let Err(error) = tls.process_new_packets() {
                        // The alert, so that the server's log says why.
                        let _ = self.flush(deadline);
                        return Err(tls::refused(&error));
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait(PollFlags::IN, deadline)?,
                Err(error) => return Err(broken_io(&error)),
            }
        }
    }

    /// Sends what TLS has to send.
    fn flush(&mut self, deadline: Time) -> Result<(), String> {
        while let Some(tls) = self.tls.as_mut().filter(|tls| tls.wants_write()) {
            match tls.write_tls(&mut Raw(&self.socket)) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait(PollFlags::OUT, deadline)?,
                Err(error) => return Err(broken_io(&error)),
            }
        }
        Ok(())
    }

    fn wait(&self, flags: PollFlags, deadline: Time) -> Result<(), String> {
        wait(&self.socket, flags, deadline)
    }
}

/// Ends it for both sides, whoever else still has a descriptor of it.
pub(crate) fn cut(socket: &Descriptor) {
    if socket.is_ours() {
        let _ = shutdown(socket, Shutdown::Both);
    }
}

fn wait(socket: &Descriptor, flags: PollFlags, deadline: Time) -> Result<(), String> {
    loop {
        let left = deadline.left();
        match poll(&mut [PollFd::new(socket, flags)], Some(&timespec(left))) {
            Ok(0) if deadline.left().is_zero() => return Err("the server does not answer".into()),
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(error.to_string()),
        }
    }
}

fn receive(socket: &Descriptor, buffer: &mut [u8]) -> Result<usize, Errno> {
    // Its number may be that of a file of the user's by now.
    if !socket.is_ours() {
        return Err(Errno::BADF);
    }
    loop {
        match recv(socket, &mut *buffer, RecvFlags::DONTWAIT) {
            Ok((length, _)) => return Ok(length),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

fn transmit(socket: &Descriptor, bytes: &[u8]) -> Result<usize, Errno> {
    if !socket.is_ours() {
        return Err(Errno::BADF);
    }
    // No SIGPIPE for the program; where there is no such flag, Rust's programs ignore that signal.
    #[cfg(not(target_vendor = "apple"))]
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    #[cfg(target_vendor = "apple")]
    let flags = SendFlags::DONTWAIT;
    loop {
        match send(socket, bytes, flags) {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

fn broken(error: Errno) -> String {
    match error {
        Errno::BADF => "the program closed the connection (closefrom, close_range)".into(),
        Errno::CONNRESET | Errno::PIPE => CLOSED.into(),
        error => format!("the connection broke: {error}"),
    }
}

fn broken_io(error: &std::io::Error) -> String {
    Errno::from_io_error(error).map_or_else(|| error.to_string(), broken)
}

/// The bare socket, for rustls.
struct Raw<'a>(&'a Descriptor);

impl Read for Raw<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        Ok(receive(self.0, buffer)?)
    }
}

impl Write for Raw<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(transmit(self.0, bytes)?)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn connect_unix(path: &Path, deadline: Time) -> Result<Descriptor, String> {
    let explained = |error: Errno| {
        let remedy = match error {
            Errno::NOENT => "; the server's socket is elsewhere (host=/DIRECTORY), or the server is down",
            Errno::CONNREFUSED => "; the server is down",
            Errno::ACCESS => "; run as a user who may use that socket",
            _ => "",
        };
        format!("{error}{remedy}")
    };
    let address = SocketAddrUnix::new(path).map_err(explained)?;
    let socket = new_socket(AddressFamily::UNIX).map_err(explained)?;
    loop {
        match connect(&socket, &address) {
            Ok(()) | Err(Errno::ISCONN) => return Ok(socket),
            // A full queue of a Unix socket: there is nothing to poll for.
            Err(Errno::AGAIN) if !deadline.left().is_zero() => std::thread::sleep(std::time::Duration::from_millis(5)),
            Err(Errno::INTR) => {}
            Err(error) => return Err(explained(error)),
        }
    }
}

/// The addresses of a name one after the other, each with its part of the time.
fn connect_tcp(name: &str, port: u16, deadline: Time) -> Result<Descriptor, String> {
    let addresses: Vec<SocketAddr> = (name, port)
        .to_socket_addrs()
        .map_err(|error| format!("no address of {name} can be found: {error}"))?
        .collect();
    let mut refusals = Vec::new();
    for (index, address) in addresses.iter().enumerate() {
        let part = deadline.left() / (addresses.len() - index) as u32;
        match connect_to(*address, Time::now() + part) {
            Ok(socket) => return Ok(socket),
            Err(error) if addresses.len() == 1 => return Err(error),
            Err(error) => refusals.push(format!("{}: {error}", address.ip())),
        }
    }
    Err(refusals.join("; "))
}

fn connect_to(address: SocketAddr, deadline: Time) -> Result<Descriptor, String> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = new_socket(family).map_err(|error| error.to_string())?;
    let _ = sockopt::set_tcp_nodelay(&socket, true);
    match connect(&socket, &address) {
        Ok(()) => return Ok(socket),
        Err(Errno::INPROGRESS | Errno::INTR) => wait(&socket, PollFlags::OUT, deadline)?,
        Err(error) => return Err(error.to_string()),
    }
    match sockopt::socket_error(&socket) {
        Ok(Ok(())) => Ok(socket),
        Ok(Err(error)) | Err(error) => Err(error.to_string()),
    }
}

/// Registered as closed in forked children before it is connected: one that kept it would keep the lock after the run's
/// death.
fn new_socket(family: AddressFamily) -> Result<Descriptor, Errno> {
    #[cfg(not(target_vendor = "apple"))]
    let flags = SocketFlags::CLOEXEC;
    #[cfg(target_vendor = "apple")]
    let flags = SocketFlags::empty();
    let socket = above_standard(socket_with(family, SocketType::STREAM, flags, None)?)?;
    #[cfg(target_vendor = "apple")]
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    rustix::fs::fcntl_setfl(&socket, OFlags::NONBLOCK)?;
    Ok(Descriptor::not_for_children(socket))
}

/// Whether something came on it, or it ended, within a time.
pub(crate) fn stirs_until(socket: &Descriptor, until: Time) -> bool {
    wait(socket, PollFlags::IN, until).is_ok()
}
