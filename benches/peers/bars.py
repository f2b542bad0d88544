"""The rows of the table and their bars: ratios of medians in one run, one pinned thread unless said otherwise."""

from __future__ import annotations

from peers.judge import AtMost, Bar, Row, Scales, Times, at_least, at_most, within

FASTEST = "the fastest peer"

DECODING = (
    Row(
        "WAV mono PCM16, 10 s, to a fresh float32 array",
        "decode",
        "wav",
        (AtMost(1.3, "floor"), Times(1.2, "wave + numpy"), Times(6, "soundfile"), at_most("error", 0)),
    ),
    Row(
        "WAV 8 channels, all of them",
        "decode",
        "wav8",
        (AtMost(1.3, "floor"), Times(1.2, "wave + numpy"), Times(7, "soundfile"), at_most("error", 0)),
    ),
    Row(
        "WAV 8 channels, one of them",
        "decode",
        "wav8_one",
        (AtMost(1.3, "floor"), Times(1.2, "wave + numpy"), Times(7, "soundfile"), at_most("error", 0)),
    ),
    Row("FLAC mono", "decode", "flac", (Times(1, "miniaudio"), Times(1.8, "soundfile"), at_most("error", 0))),
    Row(
        "FLAC 8 channels",
        "decode",
        "flac8",
        (Times(1, "miniaudio"), Times(1.35, "soundfile"), at_most("error", 0)),
    ),
    Row(
        "128 WAV files in one call",
        "decode",
        "batch",
        (AtMost(2, "offkey, each file alone"), Times(5, "soundfile")),
    ),
)

# soxr's HQ: pass band to 0.913 of the Nyquist frequency, aliases at -125.8 dB; images of up to -59.7 dB are left out.
AS_SOXR = (Times(1, "soxr HQ"), at_least("pass_band", 0.91), at_most("error_db", -115))
RESAMPLING = (
    Row(
        "resample 44.1 to 16 kHz, stereo to mono",
        "resample",
        "stereo_44100_16000",
        (*AS_SOXR, at_most("alias_db", -120)),
    ),
    Row("resample 48 to 16 kHz, mono", "resample", "mono_48000_16000", (*AS_SOXR, at_most("alias_db", -120))),
    Row("resample 8 to 16 kHz, mono", "resample", "mono_8000_16000", AS_SOXR),
    Row("resample 22.05 to 16 kHz, mono", "resample", "mono_22050_16000", AS_SOXR),
    Row("resample 96 to 16 kHz, mono", "resample", "mono_96000_16000", AS_SOXR),
    Row("resample 16 to 44.1 kHz, mono", "resample", "mono_16000_44100", AS_SOXR),
    Row("resample 16 to 16.001 kHz, mono", "resample", "mono_16000_16001", AS_SOXR),
)

LOGMEL = (AtMost(1.25, "floor"), Times(4, FASTEST), Times(11, "librosa"), at_most("error_db", 5e-5))
FEATURES = (
    Row("log-Mel 128 x 313 from float32", "logmel", "float32", LOGMEL),
    Row("log-Mel 128 x 313 from int16", "logmel", "int16", LOGMEL),
    *(
        Row(
            f"log-Mel 128 x 313 of a clip {kind}",
            "logmel",
            case,
            (AtMost(1.5, "offkey, neither"), at_most("error_db", 1e-3)),
        )
        for case, kind in (("offset", "with an offset"), ("hum", "under a hum"))
    ),
    Row(
        "log-Mel of 32 clips in one call",
        "logmel",
        "batch",
        (AtMost(1.25, "floor"), Times(4, FASTEST), Scales(0.95, of_floor=True)),
    ),
    *(
        Row(
            f"log-Mel 80 x 1001, n_fft {n_fft}",
            "frames",
            n_fft,
            (AtMost(1.5, "offkey, the next power of two"), Times(4, FASTEST), at_most("error_db", 1e-4)),
        )
        for n_fft in ("400", "480", "486", "1250")
    ),
    Row(
        "500 WAV files to log-Mel, one call",
        "endtoend",
        "files",
        (
            AtMost(1.25, "floor"),
            Scales(0.97, of_floor=True),
            Times(3.2, "scipy + numpy + mkl_fft"),
            Times(9, "soundfile + librosa"),
            Times(8, "DataLoader", threads=2),
            at_most("error_db", 5e-5),
        ),
    ),
    *(
        Row(f"{name} to log-Mel", "whole", case, (AtMost(1.15, "offkey, clips"), at_most("differing", 0)))
        for case, name in (
            ("one_of_8", "one channel of 8-channel files"),
            ("mean_of_8", "the mean of 8-channel files"),
            ("stereo", "44.1 kHz stereo files"),
        )
    ),
    Row(
        "log-Mel with the clip statistics",
        "statistics",
        "clip",
        (AtMost(1.25, "offkey, log-Mel alone"), Times(8, FASTEST), at_most("error", 1e-4)),
    ),
    *(
        Row(
            f"the same, means of {finer} and the rhythm",
            "statistics",
            case,
            (
                AtMost(1.1, "offkey, log-Mel alone"),
                AtMost(most, "offkey, statistics of one log-Mel"),
                at_most("error", 1e-4),
            ),
        )
        for case, finer, most in (
            ("hop1024", "256 Mels at hop 1024", 3),
            ("hop2048", "256 Mels at hop 2048", 2.2),
            ("two", "256 Mels at hop 2048, 384 at 4096", 4),
        )
    ),
)


def quality(tone_db: float, tones_db: float) -> tuple[Bar, ...]:
    """What the probes of a pitch shift or time stretch must find."""
    return (
        within("cents", 0.1),
        at_least("one_tone_db", tone_db),
        at_least("five_tones_db", tones_db),
        within("noise_db", 1.6),
        at_most("ripple_db", 0.6),
        at_least("click_percent", 99.5),
        within("lag_ms", 0.5),
    )


AS_FAST = (Times(4, "python-stretch"), Times(4, "audiomentations"), Times(4, "librosa"))
PROBED = {"+2": quality(49, 50), "-2": quality(49, 50), "+7": quality(49, 50), "-7": quality(49, 50)}
SHIFTING = tuple(
    Row(f"pitch shift by {amount} semitones", "pitch", amount, AS_FAST + PROBED.get(amount, ()))
    for amount in ("+2", "-2", "+7", "-7", "+10", "-10", "+0.5")
)
STRETCHING = tuple(
    Row(f"time stretch, {rate} times as fast", "stretch", rate, AS_FAST + probed)
    for rate, probed in (("1.1", quality(60, 60)), ("0.8", quality(49, 50)), ("0.5", ()), ("2", ()))
)

COPY = (AtMost(1.2, "a copy"), Times(1, "numpy slices"))
IN_PLACE = (AtMost(1.2, "floor"), Times(1, "numpy slices"))
SAME = (at_most("differing", 0),)
SIMPLE_EFFECTS = (
    Row(
        "white noise at an SNR",
        "noise",
        "noise",
        (
            AtMost(1.5, "floor"),
            Times(3, "torch.randn"),
            Times(12, "audiomentations"),
            within("snr_error_db", 0.01),
            at_least("ks_p", 0.01),
        ),
    ),
    Row("circular shift", "shift", "fresh", COPY + SAME),
    Row("circular shift into a given array", "shift", "out", COPY + SAME),
    Row("linear fade in and out", "fade", "linear", (*COPY, at_most("error", 1e-6))),
    Row("linear fade in and out, in place", "fade", "in_place", (*IN_PLACE, at_most("error", 1e-6))),
    *(
        Row(
            f"{name.replace('_', ' ')} fade in and out",
            "fade",
            name,
            (AtMost(3, "a copy"), at_most("error", 1e-6)),
        )
        for name in ("exponential", "logarithmic", "quarter_sine", "half_sine")
    ),
    Row("time mask on a log-Mel", "masks", "time", COPY + SAME),
    Row("frequency mask on a log-Mel", "masks", "frequency", COPY + SAME),
    Row("time mask in place", "masks", "time_in_place", IN_PLACE + SAME),
    Row("frequency mask in place", "masks", "frequency_in_place", IN_PLACE + SAME),
)

BATCH = (
    Row(
        "training batch: 28 clips augmented, then log-Mel",
        "batch",
        "batch",
        (
            Times(3.5, "audiomentations + torch.stft"),
            Times(4.5, "audiomentations + librosa"),
            Scales(0.95, of_floor=True),
        ),
    ),
)

# scipy and scikit-learn are compared where they are used: one ID at a time.
EXPERT, FOUR = Times(1.8, "numpy: Cholesky whitening"), AtMost(1.15, "offkey, one ID")
ONE = (
    AtMost(1.0, "floor"),
    EXPERT,
    Times(15, "scipy cdist"),
    Times(15, "scikit-learn"),
    at_most("error", 1e-5),
)
SCORING = (
    *(
        Row(f"Mahalanobis, one ID, {size} rows", "mahalanobis", f"one_{size}", ONE)
        for size in ("1e3", "1e5", "1e6")
    ),
    *(
        Row(
            f"Mahalanobis, four IDs mixed, {size} rows",
            "mahalanobis",
            f"four_{size}",
            (FOUR, EXPERT, at_most("error", 1e-5)),
        )
        for size in ("1e3", "1e5", "1e6")
    ),
    Row(
        "Mahalanobis, to all of four IDs, 1e5 rows",
        "mahalanobis",
        "all_1e5",
        (EXPERT, at_most("error", 1e-5)),
    ),
    Row("Mahalanobis, four IDs, condition number 1e6", "mahalanobis", "ill_1e5", (at_most("error", 1e-5),)),
    *(
        Row(
            f"64 float64 rows of {dim} to each of {ids} covariances",
            "forms",
            f"{dim}x{ids}",
            (AtMost(1.5, "floor"), Times(1, FASTEST), at_most("error", 1e-12)),
        )
        for dim, ids in ((64, 4), (128, 4), (256, 7), (384, 7))
    ),
    Row(
        "fit: mean, Ledoit-Wolf, Cholesky, 1e5 rows",
        "fit",
        "1e5",
        (Times(1, "numpy"), Times(3, "scikit-learn"), at_most("error", 1e-9)),
    ),
    Row("fit: mean, Ledoit-Wolf, Cholesky, 1e3 rows", "fit", "1e3"),
)

AREA = (Times(1, "numpy: sort"), Times(8, "scikit-learn"), at_most("error", 1e-12))
RANKING = (
    Row("AUC, 1e6 scores with ties", "roc", "auc_ties", AREA),
    Row("AUC, 1e6 distinct scores", "roc", "auc", AREA),
    Row("pAUC, 1e6 scores with ties", "roc", "pauc_ties", AREA),
    Row("pAUC, 1e6 distinct scores", "roc", "pauc", AREA),
)

ROWS: tuple[Row, ...] = (
    *DECODING,
    *RESAMPLING,
    *FEATURES,
    *SHIFTING,
    *STRETCHING,
    *SIMPLE_EFFECTS,
    *BATCH,
    *SCORING,
    *RANKING,
)
