//! Rows times a matrix, on the widest vectors the processor has.
//!
//! Several rows at once share each load of the weights, and their sums stay in
//! registers (Goto and van de Geijn, "Anatomy of High-Performance Matrix
//! Multiplication", 2008, the innermost kernel). A sum adds its products in the
//! same order however many rows there are, so a row is answered alike alone and
//! among many. Where the processor fuses a product with its sum, the last bit
//! may differ from one that rounds in between.

#![expect(
    clippy::inline_always,
    reason = "wide instructions are only used if everything becomes one function (pulp)"
)]

use pulp::{Arch, Simd, WithSimd};
use serde::{Deserialize, Serialize};

/// Neurons side by side: two of the widest vectors.
const PANEL: usize = 16;
/// Inputs of a panel that all rows go through before its next ones: 16 KiB of
/// weights, which stay in the first-level cache (the same paper's block of depth).
const DEPTH: usize = 128;
/// Up to so many neurons, a panel would mostly hold nothing.
const FEW: usize = 4;

/// A dense layer: weights and biases, in the order in which they are used.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Dense {
    inputs: usize,
    neurons: usize,
    /// Up to [`FEW`] neurons: `neurons × inputs`. Otherwise panels of [`PANEL`]
    /// neurons, each `inputs × PANEL`, the last one filled up with zeros.
    weights: Vec<f64>,
    /// One for each neuron, filled up likewise.
    biases: Vec<f64>,
}

impl Dense {
    /// A layer of `by_input`, which is `inputs × neurons` and row-major, and one bias a neuron.
    pub(crate) fn new(inputs: usize, by_input: &[f64], mut biases: Vec<f64>) -> Self {
        let neurons = biases.len();
        let at = |input: usize, neuron: usize| by_input[input * neurons + neuron];
        let mut weights = Vec::new();
        if neurons <= FEW {
            let each =
                (0..neurons).flat_map(|neuron| (0..inputs).map(move |input| (input, neuron)));
            weights.extend(each.map(|(input, neuron)| at(input, neuron)));
        } else {
            let padded = neurons.next_multiple_of(PANEL);
            biases.resize(padded, 0.0);
            weights.reserve_exact(padded * inputs);
            for first in (0..neurons).step_by(PANEL) {
                for input in 0..inputs {
                    let panel = (first..first + PANEL)
                        .map(|n| if n < neurons { at(input, n) } else { 0.0 });
                    weights.extend(panel);
                }
            }
        }
        Self {
            inputs,
            neurons,
            weights,
            biases,
        }
    }

    /// Numbers of a row.
    pub(crate) fn inputs(&self) -> usize {
        self.inputs
    }

    /// Sums of a row, at least one.
    pub(crate) fn neurons(&self) -> usize {
        self.neurons
    }

    /// Bytes of memory kept.
    pub(crate) fn bytes(&self) -> usize {
        (self.weights.len() + self.biases.len()) * 8
    }

    /// A rough guess of the nanoseconds one row takes.
    pub(crate) fn nanos_per_row(&self) -> usize {
        10 + self.weights.len() / 8
    }

    /// Fills `made` with the sums of each of `rows`: `rows × neurons`.
    pub(crate) fn sums(&self, rows: &[f64], made: &mut Vec<f64>) {
        let count = rows.len() / self.inputs.max(1);
        made.clear();
        made.resize(count * self.neurons, 0.0);
        let product = Product {
            layer: self,
            rows,
            made,
        };
        Arch::new().dispatch(product);
    }
}

/// Rows on their way through a layer.
struct Product<'p> {
    layer: &'p Dense,
    rows: &'p [f64],
    made: &'p mut [f64],
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if self.layer.neurons <= FEW {
            return self.dots(simd);
        }
        // As many sums as there are registers: 32 of 8 numbers, or 16 of 4.
        match S::F64_LANES {
            8 => self.panels::<S, 8>(simd),
            4 => self.panels::<S, 6>(simd),
            _ => self.panels::<S, 4>(simd),
        }
    }
}

impl Product<'_> {
    /// Neuron by neuron, each a product of two vectors.
    #[inline(always)]
    fn dots<S: Simd>(self, simd: S) {
        let Dense {
            inputs, neurons, ..
        } = *self.layer;
        let rows = self.rows.chunks_exact(inputs);
        for (row, made) in rows.zip(self.made.chunks_exact_mut(neurons)) {
            let weights = self.layer.weights.chunks_exact(inputs);
            for ((made, weights), bias) in made.iter_mut().zip(weights).zip(&self.layer.biases) {
                *made = dot(simd, row, weights) + bias;
            }
        }
    }

    /// Panel by panel, `ROWS` rows at a time.
    #[inline(always)]
    fn panels<S: Simd, const ROWS: usize>(self, simd: S) {
        let (inputs, neurons) = (self.layer.inputs, self.layer.neurons);
        let panels = self.layer.weights.chunks_exact(inputs * PANEL);
        let panels = panels.zip(self.layer.biases.chunks_exact(PANEL));
        for (index, (weights, biases)) in panels.enumerate() {
            // Narrower vectors go over a panel several times.
            for within in (0..PANEL).step_by(2 * S::F64_LANES) {
                let first = index * PANEL + within;
                if first >= neurons {
                    break;
                }
                for from in (0..inputs).step_by(DEPTH) {
                    let pair = Pair {
                        weights,
                        biases,
                        within,
                        inputs,
                        from,
                    };
                    let mut rows = self.rows.chunks_exact(inputs * ROWS);
                    let mut made = self.made.chunks_exact_mut(neurons * ROWS);
                    for (rows, made) in (&mut rows).zip(&mut made) {
                        pair.add::<S, ROWS>(simd, rows, made, first);
                    }
                    let rest = rows.remainder().chunks_exact(inputs);
                    for (row, made) in rest.zip(made.into_remainder().chunks_exact_mut(neurons)) {
                        pair.add::<S, 1>(simd, row, made, first);
                    }
                }
            }
        }
    }
}

/// Two vectors of neurons within a panel, and some of their inputs.
struct Pair<'p> {
    weights: &'p [f64],
    biases: &'p [f64],
    within: usize,
    inputs: usize,
    /// The first of at most [`DEPTH`] inputs.
    from: usize,
}

/// Their sums for some rows.
struct Sums<S: Simd, const ROWS: usize>([[S::f64s; 2]; ROWS]);

impl Pair<'_> {
    /// Adds the products of some inputs to the sums in `made`, whose neurons
    /// begin at `first`; the first inputs begin them with the biases.
    #[inline(always)]
    fn add<S: Simd, const ROWS: usize>(
        &self,
        simd: S,
        rows: &[f64],
        made: &mut [f64],
        first: usize,
    ) {
        let biases = || Sums([two::<S>(&self.biases[self.within..]); ROWS]);
        let before = if self.from == 0 {
            biases()
        } else {
            Sums::take(simd, made, first)
        };
        self.sums(simd, rows, before).put(simd, made, first);
    }

    #[inline(always)]
    fn sums<S: Simd, const ROWS: usize>(
        &self,
        simd: S,
        rows: &[f64],
        Sums(mut sums): Sums<S, ROWS>,
    ) -> Sums<S, ROWS> {
        let Self {
            inputs,
            within,
            from,
            ..
        } = *self;
        let to = inputs.min(from + DEPTH);
        let rows: [&[f64]; ROWS] = std::array::from_fn(|row| &rows[row * inputs..][from..to]);
        let (weights, _) = self.weights.as_chunks::<PANEL>();
        for (input, weights) in weights[from..to].iter().enumerate() {
            let weights = two::<S>(&weights[within..]);
            for (row, sums) in rows.iter().zip(&mut sums) {
                let x = simd.splat_f64s(row[input]);
                sums[0] = simd.mul_add_e_f64s(x, weights[0], sums[0]);
                sums[1] = simd.mul_add_e_f64s(x, weights[1], sums[1]);
            }
        }
        Sums(sums)
    }
}

impl<S: Simd, const ROWS: usize> Sums<S, ROWS> {
    /// Reads what [`put`](Self::put) wrote.
    #[inline(always)]
    fn take(simd: S, made: &[f64], first: usize) -> Self {
        let width = made.len() / ROWS;
        let end = (first + 2 * S::F64_LANES).min(width);
        Self(std::array::from_fn(|row| {
            let (whole, rest) = S::as_simd_f64s(&made[row * width..][first..end]);
            let at = |place: usize| match whole.get(place) {
                Some(vector) => *vector,
                None if place == whole.len() => simd.partial_load_f64s(rest),
                None => simd.splat_f64s(0.0),
            };
            [at(0), at(1)]
        }))
    }

    /// Writes the sums into rows of all neurons, of which these begin at `first`.
    #[inline(always)]
    fn put(self, simd: S, made: &mut [f64], first: usize) {
        let width = made.len() / ROWS;
        let end = (first + 2 * S::F64_LANES).min(width);
        for (made, sums) in made.chunks_exact_mut(width).zip(self.0) {
            let (whole, rest) = S::as_mut_simd_f64s(&mut made[first..end]);
            let left = sums.get(whole.len());
            whole.iter_mut().zip(sums).for_each(|(to, sum)| *to = sum);
            if let Some(sum) = left {
                simd.partial_store_f64s(rest, *sum);
            }
        }
    }
}

/// The first two vectors of `numbers`.
#[inline(always)]
fn two<S: Simd>(numbers: &[f64]) -> [S::f64s; 2] {
    let (vectors, _) = S::as_simd_f64s(&numbers[..2 * S::F64_LANES]);
    [vectors[0], vectors[1]]
}

/// The product of two vectors of the same length.
#[inline(always)]
fn dot<S: Simd>(simd: S, a: &[f64], b: &[f64]) -> f64 {
    let ((a, a_rest), (b, b_rest)) = (S::as_simd_f64s(a), S::as_simd_f64s(b));
    let mut sums = [simd.splat_f64s(0.0); 2];
    for (index, (a, b)) in a.iter().zip(b).enumerate() {
        sums[index % 2] = simd.mul_add_e_f64s(*a, *b, sums[index % 2]);
    }
    let rest = (
        simd.partial_load_f64s(a_rest),
        simd.partial_load_f64s(b_rest),
    );
    let sum = simd.mul_add_e_f64s(rest.0, rest.1, simd.add_f64s(sums[0], sums[1]));
    simd.reduce_sum_f64s(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, sum by sum.
    fn plainly(inputs: usize, by_input: &[f64], biases: &[f64], row: &[f64]) -> Vec<f64> {
        let sum = |neuron: usize| {
            let column = by_input.iter().skip(neuron).step_by(biases.len());
            let products = row.iter().zip(column).map(|(x, weight)| x * weight);
            products.take(inputs).sum::<f64>() + biases[neuron]
        };
        (0..biases.len()).map(sum).collect()
    }

    fn numbers(count: usize, seed: u32) -> Vec<f64> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(state >> 8) / f64::from(1 << 24) - 0.5
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn every_size_gives_the_sums_of_the_definition_alone_and_among_many() {
        for neurons in [1, 2, 4, 5, 8, 15, 16, 17, 24, 33, 100] {
            for inputs in [1, 3, 8, 30, 128, 129, 300] {
                let (weights, biases) = (numbers(inputs * neurons, 1), numbers(neurons, 2));
                let layer = Dense::new(inputs, &weights, biases.clone());
                let rows = numbers(inputs * 19, 3);
                let (mut many, mut one) = (Vec::new(), Vec::new());
                layer.sums(&rows, &mut many);
                assert_eq!(many.len(), 19 * neurons);
                for (row, among) in rows.chunks(inputs).zip(many.chunks(neurons)) {
                    layer.sums(row, &mut one);
                    assert_eq!(one, among, "{inputs} × {neurons}");
                    let expected = plainly(inputs, &weights, &biases, row);
                    let near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-13;
                    assert!(one.iter().zip(&expected).all(near), "{one:?} {expected:?}");
                }
            }
        }
    }
}
