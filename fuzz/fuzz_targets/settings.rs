#![no_main]

use libfuzzer_sys::fuzz_target;
use recurve_fuzz::bounded;
use recurve_train::config::{Config, Settings, Task};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    bounded(|| {
        let Ok(settings) = Settings::parse("run.toml", text) else { return };
        let task = settings.task().unwrap_or(Task::Forecast);
        let _ = Config::complete(task, &settings);
    });
});
