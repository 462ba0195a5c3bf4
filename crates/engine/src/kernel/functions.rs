//! Functions of numbers that several kernels share.

/// The product of two vectors. Four sums side by side: the additions do not wait for each other.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a_chunks, a_rest) = a.as_chunks::<4>();
    let (b_chunks, b_rest) = b.as_chunks::<4>();
    let mut sums = [0.0; 4];
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..4 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}

/// `1 / (1 + exp(−x))`.
pub(crate) fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Turns scores into probabilities whose logarithms differ as the scores do.
pub(crate) fn softmax(scores: &mut [f64]) {
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    for score in scores.iter_mut() {
        *score = (*score - largest).exp();
    }
    let sum: f64 = scores.iter().sum();
    for score in scores.iter_mut() {
        *score /= sum;
    }
}

/// Divides numbers that are not negative by their sum; if all are 0, they become equal.
pub(crate) fn to_shares(values: &mut [f64]) {
    let sum: f64 = values.iter().sum();
    if sum == 0.0 {
        values.fill(1.0 / values.len() as f64);
        return;
    }
    for value in values.iter_mut() {
        *value /= sum;
    }
}

/// Moves `p` to where `p · matrix · p` is smallest among probabilities
/// (`sklearn/svm/src/libsvm/svm.cpp`, `multiclass_probability`).
pub(crate) fn balance(matrix: &[f64], product: &mut [f64], p: &mut [f64]) {
    let classes = p.len();
    let enough = 0.005 / classes as f64;
    for _ in 0..classes.max(100) {
        for (sum, row) in product.iter_mut().zip(matrix.chunks_exact(classes)) {
            *sum = row.iter().zip(&*p).map(|(q, p)| q * p).sum();
        }
        let mut whole: f64 = product.iter().zip(&*p).map(|(q, p)| q * p).sum();
        let errors = product.iter().map(|sum| (sum - whole).abs());
        if errors.fold(0.0, f64::max) < enough {
            return;
        }
        for (t, row) in matrix.chunks_exact(classes).enumerate() {
            let step = (whole - product[t]) / row[t];
            p[t] += step;
            whole =
                (whole + step * (step * row[t] + 2.0 * product[t])) / (1.0 + step) / (1.0 + step);
            for (j, q) in row.iter().enumerate() {
                product[j] = (product[j] + step * q) / (1.0 + step);
                p[j] /= 1.0 + step;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "small integers are exact")]
    fn a_dot_product_takes_every_element() {
        for length in 0..11 {
            let ones = vec![1.0; length];
            assert_eq!(dot(&ones, &ones), length as f64);
        }
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "small fractions are exact")]
    fn shares_of_nothing_are_equal() {
        let mut none = [0.0; 4];
        to_shares(&mut none);
        assert_eq!(none, [0.25; 4]);
        let mut some = [1.0, 3.0];
        to_shares(&mut some);
        assert_eq!(some, [0.25, 0.75]);
    }
}
