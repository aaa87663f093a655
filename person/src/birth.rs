//! Birth dates as they come: complete, in parts, impossible.
//!
//! A part that cannot be (month 86) is not used; the others are. A date of which nothing can be used is
//! counted, and its record lives on without it. No clock: a birth in the future is no one's mistake here.

/// Order of the parts when the year is not written first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DateOrder {
    /// 31/12/1999.
    #[default]
    DayMonthYear,
    /// 12/31/1999.
    MonthDayYear,
}

/// A date of birth, as far as it can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BirthDate {
    /// 1000 to 2999.
    pub year: Option<u16>,
    /// The second number as written, 0 to 99; a month only if [`BirthDate::month`] says so.
    month_written: Option<u8>,
    /// The third number as written, 0 to 99.
    day_written: Option<u8>,
}

impl BirthDate {
    /// Reads a date: year-month-day with any signs between or none, or `order` with the year last;
    /// also a year alone, or a year and a month. What follows (a time) is not read.
    ///
    /// `None` when there is no number of four digits that can be a year and nothing else to use.
    pub fn read(raw: &str, order: DateOrder) -> Option<BirthDate> {
        let numbers = numbers(raw);
        let parts: Vec<&str> = numbers.iter().map(String::as_str).collect();
        let (year, month, day) = match parts.as_slice() {
            [all] if all.len() == 8 => (&all[..4], Some(&all[4..6]), Some(&all[6..])),
            [year, month, day, ..] if year.len() == 4 => (*year, Some(*month), Some(*day)),
            [one, other, year, ..] if year.len() == 4 => match order {
                DateOrder::DayMonthYear => (*year, Some(*other), Some(*one)),
                DateOrder::MonthDayYear => (*year, Some(*one), Some(*other)),
            },
            [year, month] if year.len() == 4 => (*year, Some(*month), None),
            [month, year] if year.len() == 4 => (*year, Some(*month), None),
            [year] if year.len() == 4 => (*year, None, None),
            _ => return None,
        };
        let year = year.parse().ok().filter(|year| (1000..3000).contains(year));
        let short = |part: Option<&str>| part.filter(|p| p.len() <= 2).and_then(|p| p.parse().ok());
        let read = BirthDate { year, month_written: short(month), day_written: short(day) };
        (read.year.is_some() || (read.month().is_some() && read.day().is_some())).then_some(read)
    }

    /// 1 to 12, if it can be a month.
    pub fn month(&self) -> Option<u8> {
        self.month_written.filter(|month| (1..=12).contains(month))
    }

    /// 1 to 31, if it can be a day of the month, where there is one.
    pub fn day(&self) -> Option<u8> {
        let longest = self.month().map_or(31, |month| longest(month, self.year));
        self.day_written.filter(|day| (1..=longest).contains(day))
    }

    /// Year, month and day, if all can be.
    pub fn complete(&self) -> Option<(u16, u8, u8)> {
        Some((self.year?, self.month()?, self.day()?))
    }

    /// Year and the two other numbers, smaller first: the same for a date with day and month
    /// transposed. Only if one of the two readings is a possible date.
    pub fn transposable(&self) -> Option<(u16, u8, u8)> {
        let (year, one, other) = (self.year?, self.month_written?, self.day_written?);
        let can_be = |month: u8, day: u8| (1..=12).contains(&month) && (1..=longest(month, Some(year))).contains(&day);
        (can_be(one, other) || can_be(other, one)).then_some((year, one.min(other), one.max(other)))
    }
}

/// Days of the month, in the year if it is known.
fn longest(month: u8, year: Option<u16>) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 => match year {
            Some(y) if !(y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400))) => 28,
            _ => 29,
        },
        _ => 31,
    }
}

/// Runs of digits, at most three; digits of any script count by their value.
fn numbers(raw: &str) -> Vec<String> {
    let mut numbers: Vec<String> = Vec::with_capacity(3);
    let mut in_number = false;
    for c in raw.chars().take(40) {
        let Some(digit) = digit(c) else {
            in_number = false;
            continue;
        };
        if !in_number && numbers.len() == 3 {
            break;
        }
        if !in_number {
            numbers.push(String::new());
        }
        in_number = true;
        if let Some(number) = numbers.last_mut() {
            number.push(digit);
        }
    }
    numbers
}

fn digit(c: char) -> Option<char> {
    let value = match c {
        '0'..='9' => return Some(c),
        '\u{0660}'..='\u{0669}' => c as u32 - 0x0660,
        '\u{06F0}'..='\u{06F9}' => c as u32 - 0x06F0,
        '\u{0966}'..='\u{096F}' => c as u32 - 0x0966,
        '\u{FF10}'..='\u{FF19}' => c as u32 - 0xFF10,
        _ => return None,
    };
    char::from_digit(value, 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn complete(raw: &str) -> Option<(u16, u8, u8)> {
        BirthDate::read(raw, DateOrder::DayMonthYear)?.complete()
    }

    #[test]
    fn one_date_written_in_several_ways_is_one_date() {
        for raw in ["1999-12-31", "19991231", "1999/12/31", "31.12.1999", "1999-12-31T08:00:00Z", "١٩٩٩-١٢-٣١"]
        {
            assert_eq!(complete(raw), Some((1999, 12, 31)), "{raw}");
        }
        let american = BirthDate::read("12/31/1999", DateOrder::MonthDayYear).unwrap();
        assert_eq!(american.complete(), Some((1999, 12, 31)));
    }

    #[test]
    fn a_part_that_cannot_be_is_left_out_and_the_others_are_used() {
        let date = BirthDate::read("1856-86-18", DateOrder::default()).unwrap();
        assert_eq!((date.year, date.month(), date.day()), (Some(1856), None, Some(18)));
        let date = BirthDate::read("1900-02-29", DateOrder::default()).unwrap();
        assert_eq!((date.month(), date.day(), date.complete()), (Some(2), None, None));
        assert_eq!(complete("2000-02-29"), Some((2000, 2, 29)));
    }

    #[test]
    fn a_transposed_date_meets_its_original_even_where_it_is_impossible() {
        let read = |raw| BirthDate::read(raw, DateOrder::default()).unwrap().transposable();
        assert_eq!(read("1984-05-19"), read("1984-19-05"));
        assert_eq!(read("1984-05-03"), read("1984-03-05"));
        assert_eq!(read("1984-86-18"), None);
    }

    #[test]
    fn a_year_alone_is_something_and_nonsense_is_nothing() {
        assert_eq!(BirthDate::read("c. 1890", DateOrder::default()).unwrap().year, Some(1890));
        for raw in ["", "unknown", "0000-00-00", "99999999", "12", "123456789012345", "--//--"] {
            assert_eq!(BirthDate::read(raw, DateOrder::default()).and_then(|d| d.complete()), None, "{raw}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_is_written_makes_an_impossible_date(raw in any::<String>(), digits in "[0-9./ -]{0,14}") {
            for text in [raw, digits] {
                if let Some((year, month, day)) = complete(&text) {
                    prop_assert!((1000..3000).contains(&year) && (1..=12).contains(&month));
                    prop_assert!((1..=longest(month, Some(year))).contains(&day));
                }
            }
        }
    }
}
