//! The public data sets that the program knows by name: what they are, where they are, how they must be.
//!
//! A file is known by its SHA-256. One without an address was put together from others and is to be had from
//! a mirror only.

use super::{File, Source};

/// A file with an address.
const fn at(name: &'static str, sha256: &'static str, address: &'static str) -> File {
    File { name, sha256, address: Some(address) }
}

/// A file without.
const fn of(name: &'static str, sha256: &'static str) -> File {
    File { name, sha256, address: None }
}

/// Name, what it is, licence, files.
pub(super) type Public = (&'static str, &'static str, &'static str, Source);

pub(super) const PUBLIC: &[Public] = &[
    (
        "c-mapss",
        "remaining life of turbofan engines, FD001",
        "NASA, none stated",
        Source::Files(&[
            of("RUL_FD001.txt", "db5d0726b88ea037f97f7e8054c17b4cdf994e1837a7fd2ee29aed4962d08e3e"),
            of(
                "test_FD001.txt",
                "3cda7109ce17bafb5443f2ac926cfcf88154b941b8c4cf95eb55d1ddd6f52851",
            ),
            of(
                "train_FD001.txt",
                "6d4b04c7a84f7f6d6c9c0153340f634f2ee4e4466fff337603ea7d74bcfcdbe1",
            ),
        ]),
    ),
    (
        "classic-series",
        "sunspots, CO2, Nile, El Niño",
        "public domain",
        Source::Files(&[
            at(
                "co2.csv",
                "16695fa2786e53414e5a6b54767a3fdf5de99cfbc68617f69d1362d92776a92f",
                "https://raw.githubusercontent.com/statsmodels/statsmodels/main/statsmodels/datasets/co2/co2.csv",
            ),
            at(
                "elnino.csv",
                "b647be00e0fd264be9764e317e6b963f35030014ecca2b21b204521716e463ad",
                "https://raw.githubusercontent.com/statsmodels/statsmodels/main/statsmodels/datasets/elnino/elnino.csv",
            ),
            at(
                "nile.csv",
                "88e97bea7249e5832a85e41aec6ce4b8f7b1b14aae930c8363da7f193286b598",
                "https://raw.githubusercontent.com/statsmodels/statsmodels/main/statsmodels/datasets/nile/nile.csv",
            ),
            at(
                "sunspots.csv",
                "f67889b1d9002cd5227f0e0ef54e35b419cdd85a31279adef6f73fb41e5c0a9b",
                "https://raw.githubusercontent.com/statsmodels/statsmodels/main/statsmodels/datasets/sunspots/sunspots.csv",
            ),
        ]),
    ),
    (
        "ett",
        "transformer temperature and loads, hourly",
        "CC BY-ND 4.0",
        Source::Files(&[at(
            "ETTh1.csv",
            "f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066",
            "https://raw.githubusercontent.com/zhouhaoyi/ETDataset/main/ETT-small/ETTh1.csv",
        )]),
    ),
    (
        "fsdd",
        "spoken digits, 3,000 recordings",
        "CC BY-SA 4.0",
        Source::Files(&[of(
            "fsdd.tar",
            "a71546432e302f630a7540c49bfde8c4cd8da3b2e92a63625c8b94d9ad0c6051",
        )]),
    ),
    (
        "japanese-vowels",
        "which of nine speakers says two vowels",
        "CC BY 4.0",
        Source::Files(&[
            at(
                "JapaneseVowels_TEST.ts",
                "b3d41d6a0ca3bcad3afb9ca7d4365382aa51341e2e58bae2a574babdda5b9462",
                "https://raw.githubusercontent.com/aeon-toolkit/aeon/main/aeon/datasets/data/JapaneseVowels/JapaneseVowels_TEST.ts",
            ),
            at(
                "JapaneseVowels_TRAIN.ts",
                "68a430eabd919cc77f40b1f5f3bc0dcafacc1486bca9260785aeb7d262cc78cd",
                "https://raw.githubusercontent.com/aeon-toolkit/aeon/main/aeon/datasets/data/JapaneseVowels/JapaneseVowels_TRAIN.ts",
            ),
        ]),
    ),
    (
        "jsb-chorales",
        "Bach chorales as piano rolls",
        "public domain",
        Source::Files(&[of(
            "jsb-chorales.json",
            "12bd7308d821a5f84c621ca00eef74ab40ade28dbe1ff72bc6a0f5f99358ff5a",
        )]),
    ),
    (
        "m4-hourly",
        "414 hourly series of the M4 competition",
        "none stated",
        Source::Files(&[
            at(
                "Hourly-test.csv",
                "71a57fccb15e534d973626ada4fb87febf789e9317715b7cc6dd3b5f90db6f42",
                "https://raw.githubusercontent.com/Mcompetitions/M4-methods/master/Dataset/Test/Hourly-test.csv",
            ),
            at(
                "Hourly-train.csv",
                "ea59b7783573c49077a835ab6465c7d66f1474783360f310988a9a737fbca62f",
                "https://raw.githubusercontent.com/Mcompetitions/M4-methods/master/Dataset/Train/Hourly-train.csv",
            ),
        ]),
    ),
    (
        "nab",
        "streams with labelled anomalies",
        "MIT",
        Source::Files(&[
            at(
                "data/artificialNoAnomaly/art_daily_no_noise.csv",
                "ccb7743ac2de8ca110db4af796d11ba31a23ad448a28e353a935c15f637756bc",
                "https://raw.githubusercontent.com/numenta/NAB/master/data/artificialNoAnomaly/art_daily_no_noise.csv",
            ),
            at(
                "data/artificialNoAnomaly/art_daily_perfect_square_wave.csv",
                "662ff0a295b81eb0ff8e81116a54a497cd6f6b07c19c7a5ea72cce494913ce62",
                "https://raw.githubusercontent.com/numenta/NAB/master/data/artificialNoAnomaly/art_daily_perfect_square_wave.csv",
            ),
            at(
                "data/artificialNoAnomaly/art_daily_small_noise.csv",
                "c4b304229f69f108eaa024fb2406fcd4510c5c5d95cd0053e2da6989682e4e6d",
                "https://raw.githubusercontent.com/numenta/NAB/master/data/artificialNoAnomaly/art_daily_small_noise.csv",
            ),
            at(
                "data/artificialNoAnomaly/art_flatline.csv",
                "1cc10761ddd6d55fb5f0d9cfc73610416abbb120ee14bb65eff288509a463397",
                "https://raw.githubusercontent.com/numenta/NAB/master/data/artificialNoAnomaly/art_flatline.csv",
            ),
            at(
                "data/artificialNoAnomaly/art_noisy.csv",
                "ad455adeaf06852222500955f2aefe6bd389cc762ef68e7102ee543209c8607f",
                "https://raw.githubusercontent.com/numenta/NAB/master/data/artificialNoAnomaly/art_noisy.csv",
            ),
            at(
                "data/artificialWithAnomaly/art_daily_flatmiddle.csv",
                "ea5df125947e9ee2b977ac3d341f3c2a029588862af97cae4a654fc56e838702",
                "https://raw.githubusercontent.com/numenta/NAB/master/data/artificialWithAnomaly/art_daily_flatmiddle.csv",
            ),
            at(
                "data/artificialWithAnomaly/art_daily_jumpsdown.csv",
                "4af31802e87dff4b4ba3ceb21714ba9d905f7888e1f53d47cc6dd4f856f9debc",
                "https://raw.githubusercontent.com/numenta/NAB/master/data/artificialWithAnomaly/art_daily_jumpsdown.csv",
            ),
            at(
                "data/artificialWithAnomaly/art_daily_jumpsup.csv",
                "f79f92b93ee4f9c10e2dc552505e8880b0c618639ed5e0f9816e044b75c26456",
                "https://raw.githubusercontent.com/numenta/NAB/master/data/artificialWithAnomaly/art_daily_jumpsup.csv",
            ),
            at(
                "data/artificialWithAnomaly/art_daily_nojump.csv",
                "65c85d1834376ed5e622f01721d478609577ea0df0a067c5a5ebe5edea03b077",
                "https://raw.githubusercontent.com/numenta/NAB/master/data/artificialWithAnomaly/art_daily_nojump.csv",
            ),
            at(
                "data/artificialWithAnomaly/art_increase_spike_density.csv",
                "0959d8871d5c1a3fc3120fb7421e4ef113fffb434af2889085b52aebdb69360c",
                "https://raw.githubusercontent.com/numenta/NAB/master/data/artificialWithAnomaly/art_increase_spike_density.csv",
            ),
            at(
                "data/artificialWithAnomaly/art_load_balancer_spikes.csv",
                "99f7130e54c7c3e818df8e3bdc0974cd241914bb14a10a9c3fa7c1374125d224",
                "https://raw.githubusercontent.com/numenta/NAB/master/data/artificialWithAnomaly/art_load_balancer_spikes.csv",
            ),
            at(
                "data/realKnownCause/ambient_temperature_system_failure.csv",
                "230b68ccca20f59d562afd5d24ad52939c9b784386bed0054018358bf9120581",
                "https://raw.githubusercontent.com/numenta/NAB/master/data/realKnownCause/ambient_temperature_system_failure.csv",
            ),
            at(
                "data/realKnownCause/cpu_utilization_asg_misconfiguration.csv",
                "58ba65dc0737cfbac11b51514476d50c438d44011232144bb8d93f392df58f9f",
                "https://raw.githubusercontent.com/numenta/NAB/master/data/realKnownCause/cpu_utilization_asg_misconfiguration.csv",
            ),
            at(
                "data/realKnownCause/ec2_request_latency_system_failure.csv",
                "98378580aa80157e057c61d59d81daddccc6c65a2c0c800e3f01f603b8215c3f",
                "https://raw.githubusercontent.com/numenta/NAB/master/data/realKnownCause/ec2_request_latency_system_failure.csv",
            ),
            at(
                "data/realKnownCause/machine_temperature_system_failure.csv",
                "92bf5b87fc7f9bba8ca0b7ec63ccaac8cb4a1371a258e8c29a10ae9c018d82a4",
                "https://raw.githubusercontent.com/numenta/NAB/master/data/realKnownCause/machine_temperature_system_failure.csv",
            ),
            at(
                "data/realKnownCause/nyc_taxi.csv",
                "d8fa6f7f0734bf5c8be12c52a94e20a82664c397d9dec4449156bd453d32856d",
                "https://raw.githubusercontent.com/numenta/NAB/master/data/realKnownCause/nyc_taxi.csv",
            ),
            at(
                "data/realKnownCause/rogue_agent_key_hold.csv",
                "47b110baa8e3636574c1033dda1cce780873647fab58223d159d4fee6f180e86",
                "https://raw.githubusercontent.com/numenta/NAB/master/data/realKnownCause/rogue_agent_key_hold.csv",
            ),
            at(
                "data/realKnownCause/rogue_agent_key_updown.csv",
                "9797cfef477c13306f7a33874ab4d6cf700f8f2c7e5825a2a5bc02004370909a",
                "https://raw.githubusercontent.com/numenta/NAB/master/data/realKnownCause/rogue_agent_key_updown.csv",
            ),
            of(
                "labels/combined_windows.json",
                "534c9cba9497b94395df21dade998b15e59f6c1386ad1f5c610e4ed405922751",
            ),
            of(
                "reference_scores.csv",
                "7492cd49ce297e3b7f158e2d90674f50fcfb2f02b3d91e399ca10d5c3c8e7049",
            ),
        ]),
    ),
    (
        "names",
        "first names",
        "MIT",
        Source::Files(&[at(
            "names.txt",
            "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d",
            "https://raw.githubusercontent.com/karpathy/makemore/master/names.txt",
        )]),
    ),
    (
        "nottingham",
        "folk tunes as piano rolls",
        "MIT",
        Source::Files(&[of(
            "nottingham.json",
            "3ab4aab7ff9c154a69aa3388a0c0c2e8682f9849a23581669c65555d5f200367",
        )]),
    ),
    (
        "sigmorphon-2020-g2p",
        "spelling to pronunciation, six languages",
        "CC BY-SA 3.0",
        Source::Files(&[
            of("baselines.tsv", "160b3063c48bd7836c3aa3ac42475c2d69113b2bd7cf80bd94979166d044fd3d"),
            at(
                "dut_dev.tsv",
                "bb86ff20577e0c9706ce3aa88d2ea5963032212bc92facef251ba435f3eb791f",
                "https://raw.githubusercontent.com/sigmorphon/2020/master/task1/data/dev/dut_dev.tsv",
            ),
            at(
                "dut_test.tsv",
                "f84dde7d2af37aabbb492bf8862be1e69bbe2b95e16728452775fd902cf94197",
                "https://raw.githubusercontent.com/sigmorphon/2020/master/task1/data/test/dut_test.tsv",
            ),
            at(
                "dut_train.tsv",
                "ee825c27cf5cc82a097819bdd6ae50900e449e49504fa3c1d06b318301ef28aa",
                "https://raw.githubusercontent.com/sigmorphon/2020/master/task1/data/train/dut_train.tsv",
            ),
            at(
                "fre_dev.tsv",
                "eb2b3fb761b02591a93981c448c6c7972da0499fd0fb1d7a0b60142463f6b355",
                "https://raw.githubusercontent.com/sigmorphon/2020/master/task1/data/dev/fre_dev.tsv",
            ),
            at(
                "fre_test.tsv",
                "cd75ca22c697f93e23d10898a87a86e1bc08d0d4eb318946f28e085cd1aca9a8",
                "https://raw.githubusercontent.com/sigmorphon/2020/master/task1/data/test/fre_test.tsv",
            ),
            at(
                "fre_train.tsv",
                "fcc1c1c19a19381105662b412e8de1a143802da40fb401dd3cc452bc935128a6",
                "https://raw.githubusercontent.com/sigmorphon/2020/master/task1/data/train/fre_train.tsv",
            ),
            at(
                "gre_dev.tsv",
                "bac8a18261aa39e125db95423cc33dfaa60683d72eb2b0bb933f2f66b913c7a9",
                "https://raw.githubusercontent.com/sigmorphon/2020/master/task1/data/dev/gre_dev.tsv",
            ),
            at(
                "gre_test.tsv",
                "a10265ed5370a687f2bc840d5ac7338c53b36b044d71e2bcfa0b359094f9fd2f",
                "https://raw.githubusercontent.com/sigmorphon/2020/master/task1/data/test/gre_test.tsv",
            ),
            at(
                "gre_train.tsv",
                "acc3450422d1d44e5d596d6b5092919ebf5e0f8a26ddde4ccac7aa9dec1e0996",
                "https://raw.githubusercontent.com/sigmorphon/2020/master/task1/data/train/gre_train.tsv",
            ),
            at(
                "hun_dev.tsv",
                "a77a59974f54d218e8c8cf2d38c5db5ee33fac4767e842d3cc0b9bad42cf7032",
                "https://raw.githubusercontent.com/sigmorphon/2020/master/task1/data/dev/hun_dev.tsv",
            ),
            at(
                "hun_test.tsv",
                "314ebe4289c3aad2161e6bf93a684219541365d59771c98fb6fa81192482c6ce",
                "https://raw.githubusercontent.com/sigmorphon/2020/master/task1/data/test/hun_test.tsv",
            ),
            at(
                "hun_train.tsv",
                "e729f49b9b232848ee5bb98afeae2e236f1ec7d0e89d43cf930a9526ad1b9e1e",
                "https://raw.githubusercontent.com/sigmorphon/2020/master/task1/data/train/hun_train.tsv",
            ),
            at(
                "rum_dev.tsv",
                "3169f34527ae54fe1bf4f0aaf3ac5dde71ba0eee31e40d4ff15e4e64a58675a9",
                "https://raw.githubusercontent.com/sigmorphon/2020/master/task1/data/dev/rum_dev.tsv",
            ),
            at(
                "rum_test.tsv",
                "6327880174d182d997cd47cd810b8a7e428c2a6349195c5e12c0b628ac6abb20",
                "https://raw.githubusercontent.com/sigmorphon/2020/master/task1/data/test/rum_test.tsv",
            ),
            at(
                "rum_train.tsv",
                "aac7c0bebd664e9f313bd444e6c4be56fb002b45d3054a75f0c1900dcb8f64f7",
                "https://raw.githubusercontent.com/sigmorphon/2020/master/task1/data/train/rum_train.tsv",
            ),
            at(
                "vie_dev.tsv",
                "6d9f94f8f8229876bd029b4db9b42654d31f834bb096279108547a98319cb510",
                "https://raw.githubusercontent.com/sigmorphon/2020/master/task1/data/dev/vie_dev.tsv",
            ),
            at(
                "vie_test.tsv",
                "b53eb1e6e7320395e8722b789d5f0bafdaa17c2484a61f5e952259c8f96c111a",
                "https://raw.githubusercontent.com/sigmorphon/2020/master/task1/data/test/vie_test.tsv",
            ),
            at(
                "vie_train.tsv",
                "541f4b51c14305580a5766158a76e299836646eafcbfb2ed9b5e7e50ae3fa7e6",
                "https://raw.githubusercontent.com/sigmorphon/2020/master/task1/data/train/vie_train.tsv",
            ),
        ]),
    ),
    (
        "tiny-shakespeare",
        "plays of Shakespeare",
        "public domain",
        Source::Files(&[at(
            "input.txt",
            "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
            "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
        )]),
    ),
    (
        "ud-english-ewt",
        "English words with their parts of speech",
        "CC BY-SA 4.0",
        Source::Files(&[
            of(
                "en_ewt-dev.tsv",
                "2faa81a43f290b662b5da432b0383db714641907b1ef99517ce55f005182a2f9",
            ),
            of(
                "en_ewt-test.tsv",
                "88bce852ab98b872f607c826b439635c85bbb81d0da6d8436b40b820272562aa",
            ),
            of(
                "en_ewt-train.tsv",
                "653e861f0d7a7c3845641b49fc0b2151d3ba6a9fa212c674b5815926aa6f15ce",
            ),
        ]),
    ),
    (
        "war-and-peace",
        "Tolstoy's novel in English",
        "public domain",
        Source::Files(&[at(
            "warpeace_input.txt",
            "b0fc81c399971eaf738c8be89809e6a0d95c151749112b04f06b6af648d8a39f",
            "https://raw.githubusercontent.com/MrHereward/machine_learning_sandbox/master/warpeace_input.txt",
        )]),
    ),
];
