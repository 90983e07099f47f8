//! Sound as a sequence of frames: the energies of bands on the mel scale, or their cepstrum.
//!
//! A frame is a window of samples (25 ms every 10 ms), pre-emphasised by 0.97 and weighted with Hann's window;
//! its power spectrum is summed in triangular bands evenly spaced on the mel scale `2595 log10(1 + f / 700)`
//! (Davis & Mermelstein 1980), and the logarithm is taken. The cepstrum is the first 13 coefficients of the
//! orthonormal cosine transform of that. Deltas are the slope over five frames. A file that is shorter than a
//! window is padded with silence to one frame. Several channels of sound are averaged.

use super::super::shown;
use crate::error::{Error, Result};
use hound::{SampleFormat, WavReader};
use realfft::RealFftPlanner;
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;
use std::path::Path;

/// Coefficients of a cepstrum.
const COEFFICIENTS: usize = 13;
/// Frames to each side that a delta looks at.
const REACH: usize = 2;

/// What is taken from sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spectrum {
    /// Logarithms of the energies in mel bands.
    LogMel,
    /// Mel-frequency cepstral coefficients.
    Mfcc,
}

/// How sound becomes frames.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AudioFeatures {
    /// What is taken.
    pub features: Spectrum,
    /// Samples per second; files of another rate are refused.
    pub rate: u32,
    /// Bands of the mel scale.
    pub bands: usize,
    /// Milliseconds that one frame sees.
    pub window_ms: f64,
    /// Milliseconds between frames.
    pub hop_ms: f64,
    /// Whether the change from frame to frame is there too.
    pub deltas: bool,
}

impl AudioFeatures {
    /// An error where a number makes no sense.
    pub(super) fn validate(&self) -> Result<()> {
        let (window, hop) = (self.samples(self.window_ms), self.samples(self.hop_ms));
        let sound = |ms: f64| ms.is_finite() && ms > 0.0 && ms <= 10_000.0;
        if !sound(self.window_ms) || !sound(self.hop_ms) || window < 2 || hop < 1 {
            return Err(Error::usage(format!(
                "frames of {} ms every {} ms are not possible at {} samples a second; change \
                 data.window_ms or data.hop_ms",
                self.window_ms, self.hop_ms, self.rate
            )));
        }
        let most = window.next_power_of_two() / 2;
        if self.bands == 0 || self.bands > most {
            return Err(Error::usage(format!(
                "data.bands is {}; windows of {window} samples allow 1 to {most}",
                self.bands
            )));
        }
        Ok(())
    }

    fn samples(&self, ms: f64) -> usize {
        (f64::from(self.rate) * ms / 1000.0).round() as usize
    }

    /// The names of the numbers of a frame.
    pub(super) fn channels(&self) -> Vec<String> {
        let (name, count) = match self.features {
            Spectrum::LogMel => ("band", self.bands),
            Spectrum::Mfcc => ("cepstrum", COEFFICIENTS.min(self.bands)),
        };
        let mut names: Vec<String> = (1..=count).map(|at| format!("{name} {at}")).collect();
        if self.deltas {
            names.extend((1..=count).map(|at| format!("change of {name} {at}")));
        }
        names
    }

    /// The frames of some samples: `[frames, channels]`.
    pub(super) fn frames(&self, samples: &[f64]) -> Vec<f64> {
        let (window, hop) = (self.samples(self.window_ms), self.samples(self.hop_ms));
        let size = window.next_power_of_two();
        let fft = RealFftPlanner::<f64>::new().plan_fft_forward(size);
        let (mut input, mut spectrum) = (fft.make_input_vec(), fft.make_output_vec());
        let filters = self.filters(size);
        let frames = 1 + samples.len().saturating_sub(window) / hop;
        let mut rows = vec![];
        for frame in 0..frames {
            input.fill(0.0);
            let first = frame * hop;
            for (at, to) in input.iter_mut().take(window).enumerate() {
                let Some(now) = samples.get(first + at) else { break };
                let before = if first + at > 0 { samples[first + at - 1] } else { 0.0 };
                let weight = 0.5 - 0.5 * (2.0 * PI * at as f64 / (window - 1) as f64).cos();
                *to = weight * (now - 0.97 * before);
            }
            fft.process(&mut input, &mut spectrum).expect("the lengths are those of the plan");
            let mel = filters.iter().map(|(first, weights)| {
                let bins = weights.iter().zip(&spectrum[*first..]);
                let energy: f64 = bins.map(|(w, bin)| w * bin.norm_sqr()).sum();
                energy.max(1e-10).ln()
            });
            let mel: Vec<f64> = mel.collect();
            match self.features {
                Spectrum::LogMel => rows.extend(mel),
                Spectrum::Mfcc => rows.extend(cepstrum(&mel)),
            }
        }
        if self.deltas { with_deltas(&rows, rows.len() / frames) } else { rows }
    }

    /// The triangles of the bands: the first bin of each and its weights.
    fn filters(&self, size: usize) -> Vec<(usize, Vec<f64>)> {
        let mel = |hertz: f64| 2595.0 * (1.0 + hertz / 700.0).log10();
        let top = mel(f64::from(self.rate) / 2.0);
        let edge = |at: usize| {
            let mel = top * at as f64 / (self.bands + 1) as f64;
            700.0 * (10_f64.powf(mel / 2595.0) - 1.0)
        };
        let width = f64::from(self.rate) / size as f64;
        let triangle = |band: usize| {
            let (low, mid, high) = (edge(band), edge(band + 1), edge(band + 2));
            let weights: Vec<f64> = (0..=size / 2)
                .map(|bin| {
                    let hertz = bin as f64 * width;
                    ((hertz - low) / (mid - low)).min((high - hertz) / (high - mid)).max(0.0)
                })
                .collect();
            let first = weights.iter().position(|w| *w > 0.0).unwrap_or(0);
            let last = weights.iter().rposition(|w| *w > 0.0).unwrap_or(0);
            // A band narrower than the bins takes the bin nearest to its middle.
            if weights[first] == 0.0 {
                let nearest = ((mid / width).round() as usize).min(size / 2);
                return (nearest, vec![1.0]);
            }
            (first, weights[first..=last].to_vec())
        };
        (0..self.bands).map(triangle).collect()
    }
}

/// The orthonormal cosine transform, type II.
fn cepstrum(mel: &[f64]) -> impl Iterator<Item = f64> {
    let count = mel.len() as f64;
    (0..COEFFICIENTS.min(mel.len())).map(move |k| {
        let sum: f64 = mel
            .iter()
            .enumerate()
            .map(|(n, e)| e * (PI * k as f64 * (n as f64 + 0.5) / count).cos())
            .sum();
        sum * if k == 0 { (1.0 / count).sqrt() } else { (2.0 / count).sqrt() }
    })
}

/// Each row followed by its slope over the rows around it.
fn with_deltas(rows: &[f64], width: usize) -> Vec<f64> {
    let count = rows.len() / width.max(1);
    let row = |at: isize| {
        let at = at.clamp(0, count as isize - 1) as usize;
        &rows[at * width..][..width]
    };
    let norm: f64 = (1..=REACH).map(|n| 2.0 * (n * n) as f64).sum();
    let mut all = vec![];
    for at in 0..count as isize {
        all.extend(row(at));
        for channel in 0..width {
            let slope = (1..=REACH as isize)
                .map(|n| n as f64 * (row(at + n)[channel] - row(at - n)[channel]));
            all.push(slope.sum::<f64>() / norm);
        }
    }
    all
}

/// The samples of a WAV file from -1 to 1, its channels averaged, and their rate.
pub(super) fn samples(path: &Path) -> Result<(Vec<f64>, u32)> {
    let name = path.display();
    let mut reader = WavReader::open(path).map_err(|error| {
        let what = match &error {
            hound::Error::IoError(io) if io.kind() == std::io::ErrorKind::NotFound => {
                "there is no such file; check the path"
            }
            _ => "this is no WAV file that can be read; convert it to 16-bit PCM",
        };
        Error::usage(format!("{name}: {what}")).with_source(error)
    })?;
    let spec = reader.spec();
    let cut = |error| {
        Error::usage(format!("{name}: the sound is cut off; copy the file again"))
            .with_source(error)
    };
    let all: Vec<f64> = match spec.sample_format {
        SampleFormat::Float => {
            let all: std::result::Result<Vec<f32>, _> = reader.samples::<f32>().collect();
            all.map_err(cut)?.into_iter().map(f64::from).collect()
        }
        SampleFormat::Int => {
            let full = (1_u64 << (spec.bits_per_sample - 1)) as f64;
            let all: std::result::Result<Vec<i32>, _> = reader.samples::<i32>().collect();
            all.map_err(cut)?.into_iter().map(|s| f64::from(s) / full).collect()
        }
    };
    if let Some(at) = all.iter().position(|sample| !sample.is_finite()) {
        return Err(Error::usage(format!("{name}: sample {at} is not a finite number")));
    }
    let channels = usize::from(spec.channels.max(1));
    let mono: Vec<f64> =
        all.chunks_exact(channels).map(|c| c.iter().sum::<f64>() / channels as f64).collect();
    if mono.is_empty() {
        return Err(Error::usage(format!("{name}: the file holds no sound")));
    }
    Ok((mono, spec.sample_rate))
}

/// The samples of a WAV file from -1 to 1, its channels averaged.
pub(crate) fn sound(path: &Path) -> Result<Vec<f64>> {
    samples(path).map(|(samples, _)| samples)
}

/// The part of a file name before the first of these.
pub(super) fn label_of_name(path: &Path) -> Result<String> {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    match stem.split(['_', '-', '.', ' ']).next() {
        Some(label) if !label.is_empty() && label.len() < stem.len() => Ok(label.to_owned()),
        _ => Err(Error::usage(format!(
            "{}: the name `{}` begins with no label and `_`; put the files of each class in a folder \
             of its name, or give a table with the columns file and label",
            path.display(),
            shown(&stem)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(features: Spectrum, deltas: bool) -> AudioFeatures {
        AudioFeatures { features, rate: 8000, bands: 20, window_ms: 25.0, hop_ms: 10.0, deltas }
    }

    fn tone(hertz: f64, samples: usize) -> Vec<f64> {
        (0..samples).map(|at| (2.0 * PI * hertz * at as f64 / 8000.0).sin()).collect()
    }

    #[test]
    fn a_tone_is_loudest_in_its_band() {
        let features = features(Spectrum::LogMel, false);
        let mel = |hertz: f64| 2595.0 * (1.0 + hertz / 700.0_f64).log10();
        for hertz in [300.0, 1000.0, 2500.0] {
            let frames = features.frames(&tone(hertz, 1600));
            assert_eq!(frames.len(), (1 + (1600 - 200) / 80) * 20);
            let row = &frames[100..120];
            let loudest = (0..20).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap();
            let expected = mel(hertz) / mel(4000.0) * 21.0 - 1.0;
            assert!((loudest as f64 - expected).abs() <= 1.0, "{hertz}: {loudest} {expected}");
        }
    }

    #[test]
    fn a_cepstrum_is_a_cosine_transform_and_deltas_are_slopes() {
        let flat = cepstrum(&[2.0; 16]).collect::<Vec<_>>();
        assert!((flat[0] - 8.0).abs() < 1e-12 && flat[1..].iter().all(|c| c.abs() < 1e-12));
        let rows: Vec<f64> = (0..7).map(|at| 3.0 * f64::from(at)).collect();
        let both = with_deltas(&rows, 1);
        assert_eq!((both[4], both[6]), (6.0, 9.0));
        assert!((both[7] - 3.0).abs() < 1e-12);
        let all = features(Spectrum::Mfcc, true);
        assert_eq!(all.frames(&tone(500.0, 10)).len(), all.channels().len());
        assert!(all.frames(&vec![0.0; 400]).iter().all(|value| value.is_finite()));
    }

    #[test]
    fn files_that_cannot_be_used_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.wav");
        assert!(samples(&path).unwrap_err().to_string().contains("no such file"));
        std::fs::write(&path, "RIFF").unwrap();
        let error = samples(&path).unwrap_err().to_string();
        assert!(error.contains("x.wav") && error.contains("16-bit PCM"), "{error}");
        assert!(label_of_name(&path).unwrap_err().to_string().contains("begins with no label"));
        assert_eq!(label_of_name(Path::new("a/7_theo_1.wav")).unwrap(), "7");
        let wrong = AudioFeatures { bands: 500, ..features(Spectrum::LogMel, false) };
        assert!(wrong.validate().unwrap_err().to_string().contains("data.bands"));
        let wrong = AudioFeatures { hop_ms: 0.0, ..features(Spectrum::LogMel, false) };
        assert!(wrong.validate().unwrap_err().to_string().contains("data.hop_ms"));
    }

    #[test]
    fn stereo_is_averaged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.wav");
        let spec = hound::WavSpec {
            channels: 2,
            sample_rate: 8000,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(&path, spec).unwrap();
        for sample in [16384_i16, 0, -32768, -32768] {
            writer.write_sample(sample).unwrap();
        }
        writer.finalize().unwrap();
        assert_eq!(samples(&path).unwrap(), (vec![0.25, -1.0], 8000));
    }
}
