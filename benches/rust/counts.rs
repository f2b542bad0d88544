//! One kernel, once, for callgrind to count: `offkey-counts NAME`. Without a name: all names, a line each.
//!
//! `benches/counts.py` runs it; callgrind collects inside of [`measured`] only.

use offkey_benches::KERNELS;

/// What is counted: a function of its own, so that callgrind can be told its name.
#[inline(never)]
fn measured(kernel: &mut dyn FnMut()) {
    kernel();
}

fn main() -> Result<(), String> {
    let Some(name) = std::env::args().nth(1) else {
        KERNELS.iter().for_each(|(name, _)| println!("{name}"));
        return Ok(());
    };
    let Some((_, make)) = KERNELS.iter().find(|(known, _)| *known == name) else {
        return Err(format!("kernel {name:?}: expected one of those that are listed without an argument"));
    };
    let mut kernel = make();
    kernel(); // plans are made at the first call
    measured(&mut kernel);
    Ok(())
}
