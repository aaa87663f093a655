//! The best k matches seen so far, in bounded memory.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
};

use super::Found;

/// Keeps the k best of all that it is offered.
#[derive(Debug)]
pub(super) struct Best {
    capacity: usize,
    // The worst kept one is on top.
    kept: BinaryHeap<Reverse<Ranked>>,
}

#[derive(Debug, Clone)]
struct Ranked(Found);

impl Ranked {
    /// Higher scores first; equal scores in the order of their keys, which says nothing about anyone.
    fn rank(&self) -> (u64, Reverse<u128>) {
        (self.0.sum_of_squares, Reverse(self.0.key))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}

impl Eq for Ranked {}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl Best {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, kept: BinaryHeap::new() }
    }

    /// True when a match with this score and key would be kept.
    pub(super) fn would_keep(&self, sum_of_squares: u64, key: u128) -> bool {
        match self.kept.peek() {
            Some(Reverse(worst)) if self.kept.len() >= self.capacity => (sum_of_squares, Reverse(key)) > worst.rank(),
            _ => self.capacity > 0,
        }
    }

    pub(super) fn keep(&mut self, found: Found) {
        if self.kept.len() >= self.capacity {
            self.kept.pop();
        }
        self.kept.push(Reverse(Ranked(found)));
    }

    /// Best first.
    pub(super) fn into_sorted(self) -> Vec<Found> {
        self.kept.into_sorted_vec().into_iter().map(|Reverse(Ranked(found))| found).collect()
    }
}
