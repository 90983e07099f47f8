//! From other orders of gates and axes to those of Recurve, and back.
//!
//! Here and nowhere else: everywhere outside this crate gates stand in the order i f g o and r z n.

/// Rows of gates in another order: gate `k` of the result is gate `order[k]` of `values`
/// `[gates * hidden, columns]`.
pub fn gates(values: &[f64], order: &[usize], hidden: usize, columns: usize) -> Vec<f64> {
    let block = hidden * columns;
    order.iter().flat_map(|gate| &values[gate * block..][..block]).copied().collect()
}

/// The order that undoes `order`.
pub fn inverse(order: &[usize]) -> Vec<usize> {
    let mut back = vec![0; order.len()];
    for (to, from) in order.iter().enumerate() {
        back[*from] = to;
    }
    back
}

/// `[rows, columns]` as `[columns, rows]`.
pub fn transposed(values: &[f64], rows: usize, columns: usize) -> Vec<f64> {
    let column = |c| (0..rows).map(move |r| values[r * columns + c]);
    (0..columns).flat_map(column).collect()
}

/// The sums of the values of two equally long lists.
pub fn sums(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_undone() {
        let values: Vec<f64> = (0..24).map(f64::from).collect();
        let order = [0, 2, 3, 1];
        let there = gates(&values, &order, 2, 3);
        assert_eq!(there[6..8], [12.0, 13.0]);
        assert_eq!(gates(&there, &inverse(&order), 2, 3), values);
        assert_eq!(transposed(&transposed(&values, 4, 6), 6, 4), values);
    }
}
