//! The server refuses what is not its own page's, and survives what is sent to it.

mod support;

use serde_json::json;
use std::time::{Duration, Instant};
use support::{copy_of, serve, table_run, text_run};

#[test]
fn it_serves_the_page_and_its_files_and_nothing_else() {
    let server = serve(text_run());
    let (status, head, page) = server.request("GET", "/", &[], "");
    let page = String::from_utf8(page).unwrap();
    assert_eq!(status, 200);
    assert!(
        head.contains("content-security-policy: default-src 'none'; script-src 'self'"),
        "{head}"
    );
    let files = page.split('"').filter(|text| text.starts_with("/assets/"));
    let mut count = 0;
    for file in files {
        assert_eq!(server.request("GET", file, &[], "").0, 200, "{file}");
        count += 1;
    }
    assert_eq!(count, 4);
    let (status, _, licence) = server.request("GET", "/assets/vendor/uplot/LICENSE", &[], "");
    assert!(status == 200 && String::from_utf8(licence).unwrap().contains("MIT"));
    for path in [
        "/model.safetensors",
        "/assets/",
        "/assets/../src/lib.rs",
        "/assets/..%2f..%2fCargo.toml",
        "/assets//etc/passwd",
        "/%00",
        "//",
        "/api",
    ] {
        assert_eq!(server.request("GET", path, &[], "").0, 404, "{path}");
    }
    for (method, path) in [("GET", "/api/run"), ("POST", "/"), ("DELETE", "/assets/main.js")] {
        assert_eq!(server.request(method, path, &[], "").0, 405, "{method} {path}");
    }
}

#[test]
fn another_page_cannot_ask() {
    let server = serve(text_run());
    let port = server.address.port();
    let kind = ("Content-Type", "application/json");
    let evil = "http://evil.example";
    let status = |headers: &[(&str, &str)]| server.request("POST", "/api/run", headers, "{}").0;
    // A foreign name that was pointed at this machine.
    for host in ["evil.example", "evil.example:80", "127.0.0.1", "localhost:1", ""] {
        assert_eq!(status(&[kind, ("Host", host)]), 403, "{host}");
    }
    let own = format!("127.0.0.1:{port}");
    assert_ne!(status(&[kind, ("Host", &own), ("Host", "evil.example")]), 200);
    // Another origin, and its page that says so in other ways.
    let other_port = "http://127.0.0.1:1";
    for origin in [evil, "null", "", other_port, "https://localhost"] {
        assert_eq!(status(&[kind, ("Origin", origin)]), 403, "{origin}");
    }
    assert_eq!(status(&[kind, ("Sec-Fetch-Site", "cross-site")]), 403);
    assert_eq!(status(&[kind, ("Sec-Fetch-Site", "same-site")]), 403);
    // What a form can send without being asked.
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        assert_eq!(status(&[("Content-Type", kind)]), 415, "{kind}");
    }
    assert_eq!(status(&[]), 415);
    // The page itself, under either name of this machine.
    let named = format!("localhost:{port}");
    let origin = format!("http://{named}");
    let headers =
        [kind, ("Host", &*named), ("Origin", &*origin), ("Sec-Fetch-Site", "same-origin")];
    assert_eq!(status(&headers), 200);
}

#[test]
fn malformed_requests_are_refused_and_the_next_is_answered() {
    let server = serve(text_run());
    let long = vec![b'a'; 1 << 20];
    for bytes in [
        &b"\0\0\0\0"[..],
        b"GET",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\r\n\r\n\r\n",
        b"POST /api/run HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/run HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        &long,
    ] {
        let (head, _) = server.broken_off(bytes);
        assert!(head.is_empty() || !head.contains("200 OK"), "{head}");
    }
    let huge = format!("{{\"text\": \"{}\"}}", "a".repeat(2 << 20));
    let kind = [("Content-Type", "application/json")];
    assert_eq!(server.request("POST", "/api/trace", &kind, &huge).0, 413);
    for (question, body) in [
        ("trace", "{"),
        ("trace", "[]"),
        ("trace", "{\"text\": 7}"),
        ("trace", "{\"unknown\": 1}"),
        ("trace", "{\"text\": \"\"}"),
        ("trace", "{\"text\": \"ß\"}"),
        ("trace", "{\"from\": 99999999}"),
        ("trace", "{\"from\": -1}"),
        ("plane", "{\"trace\": \"x\", \"part\": 0, \"plane\": \"h\"}"),
        (
            "match",
            "{\"part\":9,\"plane\":\"h\",\"units\":[],\"threshold\":1,\"share\":1,\"length\":1,\"from\":0,\"count\":9}",
        ),
        (
            "match",
            "{\"part\":0,\"plane\":\"h\",\"units\":[[99,1]],\"threshold\":1,\"share\":1,\"length\":1,\"from\":0,\"count\":9}",
        ),
        ("loss", "{\"edits\": [{\"do\": \"off\", \"part\": 0, \"units\": [24]}]}"),
        (
            "loss",
            "{\"edits\": [{\"do\": \"clamp\", \"part\": 0, \"gate\": \"f\", \"unit\": null, \"value\": 1.5}]}",
        ),
        (
            "loss",
            "{\"edits\": [{\"do\": \"clamp\", \"part\": 0, \"gate\": \"q\", \"unit\": null, \"value\": 0.5}]}",
        ),
        (
            "loss",
            "{\"edits\": [{\"do\": \"weight\", \"part\": 0, \"weights\": \"w\", \"index\": 9999999, \"value\": 1}]}",
        ),
        ("sample", "{\"prompt\":\"\",\"length\":5,\"temperature\":-1,\"seed\":1}"),
        ("backtest", "{}"),
        ("nothing", "{}"),
        ("..", "{}"),
    ] {
        let (status, _, answer) = server.request("POST", &format!("/api/{question}"), &kind, body);
        let answer = String::from_utf8(answer).unwrap();
        assert!((400..500).contains(&status), "{question} {body}: {status} {answer}");
        assert!(answer.starts_with("{\"error\":\""), "{question} {body}: {answer}");
    }
    assert_eq!(server.ask("run", &json!({})).0, 200);
}

#[test]
fn tabs_ask_at_once_and_each_gets_its_own_answer() {
    let server = serve(text_run());
    std::thread::scope(|scope| {
        for tab in 0..8_usize {
            let server = &server;
            scope.spawn(move || {
                for round in 0..6 {
                    let (from, count) = (tab * 37 + round, 40 + tab);
                    let told = server.asked("trace", &json!({"from": from, "count": count}));
                    assert_eq!((&told["from"], &told["steps"]), (&json!(from), &json!(count)));
                    let question = json!({"trace": told["id"], "part": 1, "plane": "c"});
                    let (status, bytes) = server.numbers("plane", &question);
                    assert_eq!((status, bytes.len()), (200, count * 24 * 4));
                }
            });
        }
    });
}

#[test]
fn it_ends_when_it_is_told_to_even_with_a_connection_open() {
    let mut server = serve(text_run());
    let _open = std::net::TcpStream::connect(server.address).unwrap();
    server.asked("run", &json!({}));
    let started = Instant::now();
    server.end();
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    assert!(std::net::TcpStream::connect(server.address).is_err());
}

#[test]
fn a_run_that_changes_is_read_again_and_one_that_vanishes_is_said_to_be_gone() {
    let run = copy_of(text_run());
    let server = serve(run.path());
    let first = server.asked("trace", &json!({"text": "KING"}));
    let model = run.path().join("model.safetensors");
    let good = std::fs::read(&model).unwrap();

    // Something that is no model: the one before goes on.
    std::fs::write(&model, b"no model").unwrap();
    let status = server.asked("status", &json!({}));
    assert_eq!(status["version"], 1);
    assert!(status["problem"].as_str().unwrap().contains("cannot be read"), "{status}");
    assert_eq!(server.asked("trace", &json!({"text": "KING"}))["bits"], first["bits"]);

    // Another model: the page is told by its version, and old traces are not kept.
    std::thread::sleep(Duration::from_millis(20));
    std::fs::write(&model, &good).unwrap();
    let status = server.asked("status", &json!({}));
    assert_eq!((&status["version"], &status["problem"]), (&json!(2), &json!(null)));
    let question = json!({"trace": first["id"], "part": 0, "plane": "h"});
    let (code, bytes) = server.numbers("plane", &question);
    assert!(code == 400 && String::from_utf8(bytes).unwrap().contains("ask for it again"));

    // Nothing: said, and what was read goes on.
    std::fs::remove_dir_all(run.path()).unwrap();
    let status = server.asked("status", &json!({}));
    assert!(status["problem"].as_str().unwrap().contains("not there any more"), "{status}");
    assert_eq!(server.asked("trace", &json!({"text": "KING"}))["bits"], first["bits"]);
    assert_eq!(server.asked("log", &json!({"after": 0}))["missing"], true);
}

#[test]
fn a_port_that_is_taken_and_a_run_that_is_none_are_told() {
    let server = serve(table_run());
    let port = Some(server.address.port());
    let subject = recurve_web::Subject { run: table_run(), data: None, threads: 1 };
    let error = recurve_web::serve(subject, port).err().unwrap();
    assert!(error.is_usage() && error.to_string().contains("choose another"), "{error}");
    let nowhere = std::path::Path::new("/nowhere/at/all");
    let subject = recurve_web::Subject { run: nowhere, data: None, threads: 1 };
    let error = recurve_web::serve(subject, None).err().unwrap();
    assert!(error.is_usage() && error.to_string().contains("no run folder"), "{error}");
}
