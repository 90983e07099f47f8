//! `recurve explore`: the address it prints, the end by Ctrl-C, the page as a file, and what it refuses.

#![cfg(feature = "explore")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::{RECURVE, own_trained, recurve, trained};

#[test]
fn it_prints_its_address_and_ends_well_with_ctrl_c() {
    let mut child = Command::new(RECURVE)
        .args(["explore", "runs/play", "--no-open", "--port", "0"])
        .current_dir(trained())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut address = String::new();
    out.read_line(&mut address).unwrap();
    let host = address.trim().strip_prefix("http://").unwrap().trim_end_matches('/');
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("Recurve explorer"), "{page}");
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let started = Instant::now();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_page_is_written_whole_or_not_at_all() {
    let folder = own_trained();
    let ran = recurve(folder.path(), &["explore", "runs/air", "--export", "page.html", "--json"]);
    let told = ran.done().json();
    let page = std::fs::read_to_string(folder.path().join("page.html")).unwrap();
    assert_eq!(told["bytes"], page.len());
    assert!(page.contains("id=\"embedded\""));
    // Without its data there is no piece to write.
    let args = ["explore", "runs/air", "--export", "other.html", "--data", "nowhere.csv"];
    recurve(folder.path(), &args).refused(2, &["nowhere.csv"]);
    assert!(!folder.path().join("other.html").exists());
    recurve(folder.path(), &["explore", "runs/none"]).refused(2, &["no run folder", "runs/none"]);
    let both = ["explore", "runs/air", "--export", "x.html", "--port", "1"];
    assert_eq!(recurve(folder.path(), &both).code, 2);
}
