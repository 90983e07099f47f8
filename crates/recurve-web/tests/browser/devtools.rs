//! A browser driven over its debugging socket (Chrome DevTools Protocol): pages, script, mouse, keys.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, ErrorKind};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tungstenite::{Message, WebSocket};

/// How long anything on a page may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with one page.
pub(crate) struct Browser {
    child: Child,
    socket: WebSocket<TcpStream>,
    session: String,
    next: u64,
    /// What went wrong on the page: exceptions, errors and warnings of the console.
    pub(crate) errors: Vec<String>,
    /// Addresses that the page asked for.
    pub(crate) requests: Vec<String>,
    _profile: tempfile::TempDir,
}

/// The browser of this machine, if there is one.
fn program() -> Option<String> {
    let named = std::env::var("RECURVE_BROWSER").ok();
    let usual = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
    named.or_else(|| {
        usual.iter().find(|path| std::path::Path::new(path).exists()).map(ToString::to_string)
    })
}

impl Browser {
    /// Starts a browser; none where there is no browser, which is said, or a failure where it is required.
    pub(crate) fn start(test: &str) -> Option<Self> {
        let Some(program) = program() else {
            assert!(
                std::env::var_os("RECURVE_REQUIRE_BROWSER").is_none(),
                "a browser is required, and none is here"
            );
            eprintln!("not run: {test}: there is no chromium here; RECURVE_BROWSER names one");
            return None;
        };
        let profile = tempfile::tempdir().unwrap();
        let mut child = Command::new(program)
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"])
            .args(["--no-first-run", "--disable-extensions", "--hide-scrollbars"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                line.split_once("listening on ").map(|(_, address)| address.to_owned())
            })
            .expect("the browser says where it listens");
        // What else it says must be read, or it stops.
        std::thread::spawn(move || lines.for_each(drop));
        let host = address.split('/').nth(2).unwrap();
        let stream = TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (socket, _) = tungstenite::client(&address, stream).unwrap();
        let mut browser = Self {
            child,
            socket,
            session: String::new(),
            next: 0,
            errors: vec![],
            requests: vec![],
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.call("Target.attachToTarget", attach);
        browser.session = session["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser.size(1280, 800, false);
        Some(browser)
    }

    /// Calls a method of the protocol.
    pub(crate) fn call(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        let id = self.next;
        let mut message = json!({"id": id, "method": method, "params": params});
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        self.socket.send(Message::text(message.to_string())).unwrap();
        loop {
            let message = match self.socket.read() {
                // The process was stopped for a while.
                Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::Interrupted => {
                    continue;
                }
                message => message.unwrap(),
            };
            let Message::Text(text) = message else { continue };
            let mut answer: Value = serde_json::from_str(&text).unwrap();
            if answer["id"] == id {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].take();
            }
            self.hear(&answer);
        }
    }

    fn hear(&mut self, event: &Value) {
        let params = &event["params"];
        match event["method"].as_str().unwrap_or_default() {
            "Runtime.exceptionThrown" => {
                self.errors.push(params["exceptionDetails"].to_string());
            }
            "Runtime.consoleAPICalled"
                if params["type"] == "error" || params["type"] == "warning" =>
            {
                self.errors.push(params["args"].to_string());
            }
            "Log.entryAdded" if params["entry"]["level"] == "error" => {
                self.errors.push(params["entry"].to_string());
            }
            "Network.requestWillBeSent" => {
                self.requests
                    .push(params["request"]["url"].as_str().unwrap_or_default().to_owned());
            }
            _ => {}
        }
    }

    /// The size of the window.
    pub(crate) fn size(&mut self, width: u32, height: u32, phone: bool) {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone});
        self.call("Emulation.setDeviceMetricsOverride", size);
    }

    /// Light or dark, as the system would say.
    pub(crate) fn scheme(&mut self, scheme: &str) {
        let feature = json!({"name": "prefers-color-scheme", "value": scheme});
        self.call("Emulation.setEmulatedMedia", json!({"features": [feature]}));
    }

    /// Opens an address and waits for the page to be ready.
    pub(crate) fn open(&mut self, address: &str) {
        // A change after the `#` alone would load nothing.
        self.call("Page.navigate", json!({"url": "about:blank"}));
        self.call("Page.navigate", json!({"url": address}));
        self.wait("document.body?.dataset.ready === 'yes'");
    }

    /// The value of an expression on the page.
    #[track_caller]
    pub(crate) fn eval(&mut self, script: &str) -> Value {
        let question = json!({"expression": script, "awaitPromise": true, "returnByValue": true});
        let mut answer = self.call("Runtime.evaluate", question);
        assert!(answer["exceptionDetails"].is_null(), "{script}: {answer}");
        answer["result"]["value"].take()
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub(crate) fn wait(&mut self, condition: &str) {
        let started = Instant::now();
        while self.eval(&format!("Boolean({condition})")) != true {
            let body = if started.elapsed() > PATIENCE {
                self.eval("document.body.innerText").to_string()
            } else {
                String::new()
            };
            assert!(
                body.is_empty(),
                "{condition} never came; {:?}; the page says {body}",
                self.errors
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The middle of an element, scrolled into sight.
    #[track_caller]
    fn place(&mut self, selector: &str) -> (f64, f64) {
        let script = format!(
            "(() => {{ const e = document.querySelector({selector:?}); if (!e) return null; \
             e.scrollIntoView({{block: 'center'}}); const b = e.getBoundingClientRect(); \
             return [b.x + b.width / 2, b.y + b.height / 2]; }})()"
        );
        let place = self.eval(&script);
        assert!(place.is_array(), "there is no {selector}");
        (place[0].as_f64().unwrap(), place[1].as_f64().unwrap())
    }

    fn mouse(&mut self, kind: &str, (x, y): (f64, f64), buttons: u8) {
        let button = if kind == "mouseMoved" && buttons == 0 { "none" } else { "left" };
        let event = json!({
            "type": kind, "x": x, "y": y, "button": button, "buttons": buttons, "clickCount": 1,
        });
        self.call("Input.dispatchMouseEvent", event);
    }

    /// A click on an element.
    #[track_caller]
    pub(crate) fn click(&mut self, selector: &str) {
        let at = self.place(selector);
        self.mouse("mouseMoved", at, 0);
        self.mouse("mousePressed", at, 1);
        self.mouse("mouseReleased", at, 0);
    }

    /// The pointer over an element.
    #[track_caller]
    pub(crate) fn point(&mut self, selector: &str) {
        let at = self.place(selector);
        self.mouse("mouseMoved", (at.0 - 2.0, at.1), 0);
        self.mouse("mouseMoved", at, 0);
    }

    /// The button held from one element to another.
    #[track_caller]
    pub(crate) fn drag(&mut self, from: &str, to: &str) {
        let start = self.place(from);
        self.mouse("mouseMoved", start, 0);
        self.mouse("mousePressed", start, 1);
        let script = format!(
            "(() => {{ const b = document.querySelector({to:?}).getBoundingClientRect(); \
             return [b.x + b.width / 2, b.y + b.height / 2]; }})()"
        );
        let end = self.eval(&script);
        let end = (end[0].as_f64().unwrap(), end[1].as_f64().unwrap());
        self.mouse("mouseMoved", ((start.0 + end.0) / 2.0, (start.1 + end.1) / 2.0), 1);
        self.mouse("mouseMoved", end, 1);
        self.mouse("mouseReleased", end, 0);
    }

    /// A key, such as `ArrowRight`, `Tab` or `3`.
    pub(crate) fn key(&mut self, key: &str, shift: bool) {
        let text = if key.chars().count() == 1 { key } else { "" };
        let code = match key {
            "Tab" => 9,
            "Enter" => 13,
            "End" => 35,
            "Home" => 36,
            "ArrowLeft" => 37,
            "ArrowUp" => 38,
            "ArrowRight" => 39,
            "ArrowDown" => 40,
            other => other.chars().next().map_or(0, |c| c as u32),
        };
        for kind in ["keyDown", "keyUp"] {
            let event = json!({
                "type": kind, "key": key, "windowsVirtualKeyCode": code, "text": text,
                "modifiers": if shift { 8 } else { 0 },
            });
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// A value set as a person would, with the events that follow.
    #[track_caller]
    pub(crate) fn set(&mut self, selector: &str, value: &str) {
        let script = format!(
            "(() => {{ const e = document.querySelector({selector:?}); e.value = {value:?}; \
             e.dispatchEvent(new Event('input', {{bubbles: true}})); \
             e.dispatchEvent(new Event('change', {{bubbles: true}})); return true; }})()"
        );
        assert_eq!(self.eval(&script), true);
    }

    /// The text of an element.
    #[track_caller]
    pub(crate) fn text(&mut self, selector: &str) -> String {
        let text = self.eval(&format!("document.querySelector({selector:?})?.innerText ?? null"));
        text.as_str().unwrap_or_else(|| panic!("there is no {selector}")).to_owned()
    }

    /// A picture of the page in the folder that `RECURVE_SCREENSHOTS` names, if it names one.
    pub(crate) fn picture(&mut self, name: &str) {
        let Some(folder) = std::env::var_os("RECURVE_SCREENSHOTS") else { return };
        std::thread::sleep(Duration::from_millis(400));
        let size = self.eval("[innerWidth, Math.min(2600, document.documentElement.scrollHeight)]");
        let clip = json!({"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1});
        let question = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let picture = self.call("Page.captureScreenshot", question);
        use base64::Engine as _;
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(picture["data"].as_str().unwrap())
            .unwrap();
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(std::path::Path::new(&folder).join(format!("{name}.png")), bytes).unwrap();
    }

    /// Fails if anything went wrong on the page since the last time.
    #[track_caller]
    pub(crate) fn fine(&mut self) {
        assert!(self.errors.is_empty(), "{:#?}", self.errors);
        assert_eq!(self.eval("document.getElementById('banner').hidden"), true);
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
