//! A step with a list of hosts reaches them and nothing else.

use std::io::{Read, Write};
use std::net::TcpListener;

use maestro_schemas::sandbox::{Level, Network};
use maestro_schemas::task::Task;

use super::bench::{Bench, strict};

/// Asks by CONNECT through the proxy that is named, and says what comes.
const CLIENT: &str = "
import os, socket, sys, urllib.parse
proxy = urllib.parse.urlsplit(os.environ['HTTPS_PROXY'])
s = socket.create_connection((proxy.hostname, proxy.port), timeout=10)
s.sendall(f'CONNECT {sys.argv[1]} HTTP/1.1\\r\\n\\r\\n'.encode())
head = s.recv(4096).decode()
print(head.split('\\r\\n')[0])
if ' 200 ' in head:
    s.sendall(b'hello')
    print(s.recv(100).decode())
";

fn listed(hosts: &[String], script: &str) -> Task {
    let script = format!("cat > c.py <<'END'\n{CLIENT}\nEND\n{script}");
    Task { network: Some(Network::Hosts(hosts.to_vec())), ..strict(&script) }
}

#[tokio::test]
async fn a_listed_host_is_reached_and_every_other_refused_and_told() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut said = [0; 5];
            if stream.read_exact(&mut said).is_ok() {
                let _ = stream.write_all(b"welcome");
            }
        }
    });
    let bench = Bench::new(Level::Bubblewrap).await;
    let script = format!(
        "python3 c.py 127.0.0.1:{port}; python3 c.py example.org:443; \
         python3 -c \"import socket; socket.create_connection(('127.0.0.1', {port}), 3)\" \
         2>/dev/null && echo escaped; true"
    );
    let said = bench.says(listed(&[format!("127.0.0.1:{port}")], &script)).await;
    assert!(said.contains("200 Connection established\nwelcome\n"), "{said}");
    assert!(said.contains("403 Forbidden"), "{said}");
    assert!(said.contains("network: example.org:443 is not in the step's list"), "{said}");
    assert!(!said.contains("escaped"), "{said}");
}

#[tokio::test]
async fn a_strict_step_reaches_nothing_where_it_lists_nothing() {
    let bench = Bench::new(Level::Bubblewrap).await;
    let script = "python3 -c \"
import socket
for host in ('1.1.1.1', 'example.org'):
    try:
        socket.create_connection((host, 443), 3)
        print('escaped')
    except OSError: pass
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
try:
    s.sendto(b'x', ('1.1.1.1', 53))
    print('escaped')
except OSError: pass
l = socket.create_server(('127.0.0.1', 0))
socket.create_connection(l.getsockname(), 3)
print('own loopback')\"";
    assert_eq!(bench.says(strict(script)).await, "own loopback\n");
}
