//! GF(2¹²⁸) as in RFC 8452 (POLYVAL), and Shamir's sharing over it.
//!
//! The product is POLYVAL's `dot(a, b) = a·b·x⁻¹²⁸`. With it the 16-byte strings form a field whose
//! one is `x¹²⁸`; Shamir's scheme (CACM 1979) needs no more than that. The multiplication itself is
//! the `polyval` crate's: constant in time, in hardware where there is some.

use polyval::{
    Polyval,
    universal_hash::{KeyInit, UniversalHash},
};

/// A field element, least significant bit first as RFC 8452 has it.
pub type Element = [u8; 16];

/// `x¹²⁸ mod x¹²⁸ + x¹²⁷ + x¹²⁶ + x¹²¹ + 1`: the one of the product `dot`.
pub const ONE: Element = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xc2];

/// The sum of two elements, which is also their difference.
pub fn add(a: &Element, b: &Element) -> Element {
    (u128::from_ne_bytes(*a) ^ u128::from_ne_bytes(*b)).to_ne_bytes()
}

/// A fixed factor, prepared once for many products.
#[derive(Clone)]
pub struct Factor(Polyval);

impl Factor {
    /// Prepares `factor`.
    pub fn new(factor: &Element) -> Self {
        Self(<Polyval as KeyInit>::new(&(*factor).into()))
    }

    /// `Σ cᵢ·factorⁱ` for the coefficients `c₁, c₂, …`, highest first in `descending`.
    pub fn evaluate<'a>(&self, descending: impl IntoIterator<Item = &'a Element>) -> Element {
        let mut hash = self.0.clone();
        descending.into_iter().for_each(|coefficient| hash.update(&[(*coefficient).into()]));
        hash.finalize().into()
    }

    /// The product with `element`.
    pub fn times(&self, element: &Element) -> Element {
        self.evaluate([element])
    }
}

/// The inverse of `element` under `dot`; zero for zero.
pub fn invert(element: &Element) -> Element {
    // Fermat: a^(2¹²⁸ − 2) = (a^(2¹²⁷ − 1))², all but the last exponent bit set.
    let factor = Factor::new(element);
    let mut power = *element;
    for _ in 0..126 {
        power = factor.times(&Factor::new(&power).times(&power));
    }
    Factor::new(&power).times(&power)
}

/// The field element at which data set number `point` takes its share.
pub fn share_element(point: u8) -> Element {
    let mut element = [0; 16];
    element[0] = point;
    element
}

/// What turns the shares at `points` back into the secret: the Lagrange coefficients at zero.
#[derive(Clone)]
pub struct Reconstruction(Vec<Factor>);

impl Reconstruction {
    /// Prepares the coefficients for different, non-zero `points`.
    pub fn new(points: &[u8]) -> Self {
        Self(points.iter().map(|&own| Factor::new(&lagrange_at_zero(own, points))).collect())
    }

    /// The secret, from one share for each point in the same order.
    pub fn secret<'a>(&self, shares: impl IntoIterator<Item = &'a Element>) -> Element {
        self.0.iter().zip(shares).fold([0; 16], |sum, (factor, share)| add(&sum, &factor.times(share)))
    }
}

fn lagrange_at_zero(own: u8, points: &[u8]) -> Element {
    let x = share_element(own);
    points.iter().filter(|&&other| other != own).fold(ONE, |product, &other| {
        let y = share_element(other);
        let ratio = Factor::new(&y).times(&invert(&add(&y, &x)));
        Factor::new(&product).times(&ratio)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn one_and_inverse(a: Element) {
            prop_assert_eq!(Factor::new(&a).times(&ONE), a);
            prop_assume!(a != [0; 16]);
            prop_assert_eq!(Factor::new(&a).times(&invert(&a)), ONE);
        }

        #[test]
        fn any_t_shares_give_the_secret_and_fewer_do_not(
            coefficients in prop::collection::vec(any::<Element>(), 2..6),
            mut points in Just((1u8..=32).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let threshold = coefficients.len();
            points.truncate(threshold);
            let shares: Vec<Element> = points.iter().map(|&point| {
                let rest = Factor::new(&share_element(point)).evaluate(coefficients[1..].iter().rev());
                add(&coefficients[0], &rest)
            }).collect();
            prop_assert_eq!(Reconstruction::new(&points).secret(&shares), coefficients[0]);
            let fewer = Reconstruction::new(&points[1..]).secret(&shares[1..]);
            prop_assert_ne!(fewer, coefficients[0]);
        }
    }
}
