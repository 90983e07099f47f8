//! Text to tokens on a real text, where it is at hand.

use recurve_train::baseline::{bigram, unigram};
use recurve_train::data::{Lanes, Text, TextOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

#[test]
fn tiny_shakespeare_has_its_published_counts() {
    let folder = std::env::var_os("RECURVE_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let path = folder.join("data/tiny-shakespeare/input.txt");
    if !path.exists() {
        // Past the capture of the harness, which would hide it.
        let _ = writeln!(
            std::io::stderr(),
            "not run: {} is absent (set RECURVE_SHARED)",
            path.display()
        );
        return;
    }
    let text = Text::read(&path, &TextOptions::default()).unwrap();
    println!("{}", text.describe());
    assert_eq!((text.tokens().len(), text.vocabulary().size()), (1_115_394, 65));
    assert_eq!(text.train().len(), 1_003_854);
    // The entropy of the text itself, then the last tenth under the pairs of the rest.
    let all = unigram(text.tokens(), text.tokens(), 65, 0.0).unwrap();
    assert!((all - 3.313).abs() < 0.0005, "{all}");
    let pairs = bigram(text.train(), text.validation(), 65, 0.01).unwrap();
    assert!((pairs - 2.4875).abs() < 0.0005, "{pairs}");
    let lanes = Lanes::new(text.train(), 32, 64).unwrap();
    assert_eq!((lanes.lane_steps(), lanes.batches(), lanes.unused()), (31_370, 491, 13));
}
