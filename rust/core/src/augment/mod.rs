//! Augmentations of training clips: parameters in, samples out, no hidden state.
//!
//! Each effect is a function from one clip into an array of the caller's; [`Augmenter`] draws one of them for each clip
//! of a batch.

mod augmenter;
mod checks;
mod class;
mod elementary;
mod fade;
mod mask;
pub mod near;
mod noise;
mod phases;
mod pitch_shift;
mod time_shift;
mod time_stretch;
mod vocoder;

pub use augmenter::{Augmented, Augmenter, AugmenterScratch, Key, Masks, Ranges, augment_logmels};
pub use class::Class;
pub use fade::{Shape, fade};
pub use mask::{Axis, Band, mask, mask_bands};
pub use noise::white_noise;
pub use pitch_shift::pitch_shift;
pub use time_shift::time_shift;
pub use time_stretch::{stretched_length, time_stretch};
