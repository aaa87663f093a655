//! A corridor as a picture: one self-contained SVG, with nothing to fetch and nothing to run.
//!
//! The map is an azimuthal equidistant projection around the middle of the corridor, so the scale bar holds along
//! every line through the middle and within half a per cent everywhere on a corridor across a continent.

mod canvas;
mod labels;
mod panel;
mod projection;

use canvas::Canvas;
use labels::Labels;
use projection::Projection;

use crate::{
    corridor::{Corridor, Degrees, Role, Zone, words::distance},
    geometry::Place,
};

/// Space for the map, in pixels.
const MAP: (f64, f64) = (860.0, 860.0);
const MARGIN: f64 = 28.0;
/// What would be narrower than this is drawn so wide, in pixels.
const SEEN: f64 = 3.0;
const ARROWS: u32 = 12;

const INK: &str = "#22303c";
const QUIET: &str = "#8a949c";
const GRID: &str = "#dfe3e6";
const BAND: &str = "#3f7fbf";
const STOP: &str = "#b7791f";
const ORIGIN: &str = "#2f855a";
const DESTINATION: &str = "#9b2c5a";
const TRACK: &str = "#c53030";

/// Draws a corridor.
pub fn svg(corridor: &Corridor) -> String {
    draw(corridor, &Projection::of(corridor, MAP, MARGIN), |_| {})
}

/// Draws where a device was, and what of a corridor lies around it. Without a place it draws the corridor.
pub fn track(corridor: &Corridor, device: &str, places: &[Place]) -> String {
    let Some(last) = places.last() else { return svg(corridor) };
    let projection = Projection::around(places, std::iter::empty(), corridor.half_width_m, MAP, MARGIN);
    draw(corridor, &projection, |canvas| {
        let points: Vec<Degrees> = places.iter().map(|place| place.degrees()).collect();
        canvas.element(&format!(
            "path d=\"{}\" fill=\"none\" stroke=\"{TRACK}\" stroke-width=\"2.5\" stroke-linejoin=\"round\"",
            path(&projection, &points)
        ));
        let (x, y) = projection.place(*last);
        canvas.element(&format!("circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"{TRACK}\""));
        canvas.text((x + 9.0, y + 4.0), &format!("font-size=\"13\" font-weight=\"700\" fill=\"{TRACK}\""), device);
    })
}

fn draw(corridor: &Corridor, projection: &Projection, on_top: impl FnOnce(&mut Canvas)) -> String {
    let (width, height) = projection.size();
    let panel = panel::Panel::of(corridor, projection.scales_band());
    let mut canvas = Canvas::new((width + panel::WIDTH, height.max(panel.height())));
    canvas.open("g", "clip-path=\"url(#map)\"");
    graticule(&mut canvas, projection);
    route(&mut canvas, projection, corridor);
    for zone in &corridor.zones {
        draw_zone(&mut canvas, projection, zone);
    }
    arrows(&mut canvas, projection, corridor);
    names(&mut canvas, projection, corridor);
    on_top(&mut canvas);
    canvas.close("g");
    panel.draw(&mut canvas, width);
    canvas.finish(width, &corridor.id.name)
}

fn color(role: Role) -> &'static str {
    match role {
        Role::Stop => STOP,
        Role::Origin => ORIGIN,
        Role::Destination => DESTINATION,
    }
}

fn route(canvas: &mut Canvas, projection: &Projection, corridor: &Corridor) {
    let path: String = corridor.outline.iter().map(|part| path(projection, part)).collect();
    let width = (2.0 * projection.pixels(corridor.half_width_m)).max(SEEN);
    canvas.element(&format!(
        "path d=\"{path}\" fill=\"none\" stroke=\"{BAND}\" stroke-opacity=\"0.28\" stroke-width=\"{width:.2}\" \
         stroke-linejoin=\"round\" stroke-linecap=\"round\""
    ));
    canvas.element(&format!("path d=\"{path}\" fill=\"none\" stroke=\"{BAND}\" stroke-width=\"1.4\""));
}

fn path(projection: &Projection, degrees: &[Degrees]) -> String {
    let mut path = String::new();
    for (index, (x, y)) in degrees.iter().filter_map(|&at| projection.at(at)).enumerate() {
        path.push_str(&format!("{}{x:.1} {y:.1}", if index == 0 { 'M' } else { 'L' }));
    }
    path
}

fn draw_zone(canvas: &mut Canvas, projection: &Projection, zone: &Zone) {
    let color = color(zone.role);
    let style = format!("fill=\"{color}\" fill-opacity=\"0.3\" stroke=\"{color}\" stroke-width=\"1.2\"");
    if zone.outline.is_empty() {
        let (x, y) = projection.place(zone.area.centre());
        let radius = projection.pixels(zone.area.reach_m()).max(SEEN);
        canvas.element(&format!("circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\" {style}"));
    } else {
        let path: String = zone.outline.iter().map(|ring| path(projection, ring) + "Z").collect();
        canvas.element(&format!("path d=\"{path}\" fill-rule=\"evenodd\" {style}"));
    }
}

/// Small arrows along the route, in its direction.
fn arrows(canvas: &mut Canvas, projection: &Projection, corridor: &Corridor) {
    let every_m = corridor.line.length_m() / f64::from(ARROWS);
    let mut next_m = every_m / 2.0;
    let mut along_m = 0.0;
    for arc in corridor.line.arcs() {
        let length_m = arc.length_m();
        while next_m < along_m + length_m {
            let share = (next_m - along_m) / length_m;
            let (x, y) = projection.place(arc.point(share));
            let (ahead_x, ahead_y) = projection.place(arc.point((share + 0.01).min(1.0)));
            let (back_x, back_y) = projection.place(arc.point((share - 0.01).max(0.0)));
            let turn = (ahead_y - back_y).atan2(ahead_x - back_x).to_degrees();
            canvas.element(&format!(
                "path d=\"M5 0L-4 -4L-2 0L-4 4Z\" fill=\"{INK}\" transform=\"translate({x:.1} {y:.1}) rotate({turn:.0})\""
            ));
            next_m += every_m;
        }
        along_m += length_m;
    }
}

fn names(canvas: &mut Canvas, projection: &Projection, corridor: &Corridor) {
    let mut labels = Labels::new(projection.size(), projection.pixels(corridor.half_width_m).clamp(SEEN, 12.0));
    for part in &corridor.outline {
        labels.keep_clear(part.iter().filter_map(|&at| projection.at(at)));
    }
    scale_bar(canvas, projection, &mut labels);
    // The ends of the trip first: they find their place before the stops do.
    let mut zones: Vec<&Zone> = corridor.zones.iter().collect();
    zones.sort_by_key(|zone| zone.role == Role::Stop);
    for zone in zones {
        let at = projection.place(zone.area.centre());
        let radius = projection.pixels(zone.area.reach_m()).max(SEEN);
        let weight = if zone.role == Role::Stop { "500" } else { "700" };
        let Some((x, y)) = labels.place(&zone.name, at, radius) else { continue };
        let style = format!("font-size=\"12\" font-weight=\"{weight}\"");
        // The halo is a text of its own, as not every viewer paints strokes first.
        let halo = format!("{style} fill=\"none\" stroke=\"#ffffff\" stroke-width=\"3\" stroke-linejoin=\"round\"");
        canvas.text((x, y), &halo, &zone.name);
        canvas.text((x, y), &format!("{style} fill=\"{}\"", color(zone.role)), &zone.name);
    }
}

fn graticule(canvas: &mut Canvas, projection: &Projection) {
    let ((south, north), (west, east)) = projection.extent();
    let step = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0]
        .into_iter()
        .find(|step| (north - south).max(east - west) / step <= 8.0)
        .unwrap_or(45.0);
    let multiples = |from: f64, to: f64| {
        let (first, last) = ((from / step).floor() as i32 - 1, (to / step).ceil() as i32 + 1);
        (first..=last).map(move |number| f64::from(number) * step)
    };
    let between = |from: f64, to: f64| (0..=40).map(move |part| from + (to - from) * f64::from(part) / 40.0);
    let decimals = usize::from(step < 1.0) + usize::from(step < 0.1);
    for latitude in multiples(south, north).filter(|latitude| latitude.abs() < 90.0) {
        let line: Vec<Degrees> = between(west - step, east + step).map(|longitude| (latitude, longitude)).collect();
        let hemisphere = if latitude < 0.0 { 'S' } else { 'N' };
        grid_line(canvas, projection, &line, true, &format!("{:.decimals$}° {hemisphere}", latitude.abs()));
    }
    for longitude in multiples(west, east) {
        let line: Vec<Degrees> = between((south - step).max(-90.0), (north + step).min(90.0))
            .map(|latitude| (latitude, longitude))
            .collect();
        let shown = (longitude + 540.0).rem_euclid(360.0) - 180.0;
        let hemisphere = if shown < 0.0 { 'W' } else { 'E' };
        grid_line(canvas, projection, &line, false, &format!("{:.decimals$}° {hemisphere}", shown.abs()));
    }
}

/// A line of the graticule, named at the left edge of the map for a parallel and at its top for a meridian.
fn grid_line(canvas: &mut Canvas, projection: &Projection, line: &[Degrees], is_parallel: bool, name: &str) {
    let line: Vec<Degrees> =
        line.iter().map(|&(latitude, longitude)| (latitude, (longitude + 540.0).rem_euclid(360.0) - 180.0)).collect();
    canvas.element(&format!("path d=\"{}\" fill=\"none\" stroke=\"{GRID}\"", path(projection, &line)));
    let points: Vec<(f64, f64)> = line.iter().filter_map(|&at| projection.at(at)).collect();
    let (width, height) = projection.size();
    let crossing = points.windows(2).find_map(|pair| {
        let (from, to) = (pair[0], pair[1]);
        let (start, end) = if is_parallel { (from.0, to.0) } else { (from.1, to.1) };
        let share = -start / (end - start);
        (0.0..1.0).contains(&share).then_some((from.0 + share * (to.0 - from.0), from.1 + share * (to.1 - from.1)))
    });
    let style = format!("font-size=\"10\" fill=\"{QUIET}\"");
    match crossing {
        Some((_, y)) if is_parallel && (20.0..height - 8.0).contains(&y) => canvas.text((6.0, y - 3.0), &style, name),
        Some((x, _)) if !is_parallel && (48.0..width - 48.0).contains(&x) => canvas.text((x + 4.0, 13.0), &style, name),
        _ => {}
    }
}

/// In a lower corner that the route leaves free, if one is.
fn scale_bar(canvas: &mut Canvas, projection: &Projection, labels: &mut Labels) {
    let (width, height) = projection.size();
    let fitting = |metres: &f64| projection.pixels(*metres) <= width / 4.0;
    let steps = (2..7).flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10_f64.powi(power)));
    let metres = steps.take_while(fitting).last().unwrap_or(100.0);
    let length = projection.pixels(metres);
    let corners = [24.0, width - length - 48.0].map(|left| (left, height - 22.0));
    let (x, y) = labels.reserve(corners, length + 24.0);
    let half = length / 2.0;
    let end = x + length;
    canvas.element(&format!(
        "path d=\"M{x:.1} {y:.1}h{half:.1}v5h-{half:.1}Z\" fill=\"{INK}\" stroke=\"{INK}\" stroke-width=\"0.8\""
    ));
    let middle = x + half;
    canvas.element(&format!(
        "path d=\"M{middle:.1} {y:.1}h{half:.1}v5h-{half:.1}Z\" fill=\"#ffffff\" stroke=\"{INK}\" stroke-width=\"0.8\""
    ));
    let style = format!("font-size=\"11\" fill=\"{INK}\" text-anchor=\"middle\"");
    canvas.text((x, y - 5.0), &style, "0");
    canvas.text((end, y - 5.0), &style, &distance(metres));
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = include_str!("../../../policies/corridors/laredo-detroit.geojson");

    #[test]
    fn the_picture_names_every_zone_and_fetches_nothing() {
        let corridor = Corridor::parse(OWN).unwrap();
        let svg = svg(&corridor);
        for zone in &corridor.zones {
            assert!(svg.contains(&zone.name), "{}", zone.name);
        }
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert_eq!(svg.matches("http").count(), 1, "the namespace and nothing else");
        assert_eq!(svg.matches("<g").count(), svg.matches("</g>").count());
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn a_track_is_drawn_on_the_part_of_the_corridor_around_it() {
        let corridor = Corridor::parse(OWN).unwrap();
        let places: Vec<Place> = (0..60).map(|minute| corridor.line.at(f64::from(minute) * 1_500.0).unwrap()).collect();
        let drawn = track(&corridor, "<ACME-1>", &places);
        assert!(drawn.contains("&lt;ACME-1&gt;") && drawn.contains("Laredo"));
        // Nothing that lies far away is named.
        assert!(svg(&corridor).contains("Fort Wayne</text>") && !drawn.contains("Fort Wayne</text>"));
        assert!(!drawn.contains("NaN") && !drawn.contains("inf"));
        assert_eq!(track(&corridor, "ACME-1", &[]), svg(&corridor));
        assert!(!track(&corridor, "ACME-1", &places[..1]).contains("NaN"));
    }

    #[test]
    fn what_a_file_says_cannot_leave_its_place_in_the_picture() {
        let hostile = OWN.replace("\"name\": \"Waco\"", "\"name\": \"</text><script>&'\"");
        let svg = svg(&Corridor::parse(&hostile).unwrap());
        assert!(!svg.contains("<script") && svg.contains("&lt;/text&gt;&lt;script&gt;&amp;&#39;"));
    }

    #[test]
    fn a_corridor_over_the_antimeridian_is_drawn_in_one_piece() {
        let text = r#"{"type":"Feature","properties":{"role":"corridor","name":"a","half_width_m":1000,
            "valid_from":"2026-01-01"},"geometry":{"type":"MultiLineString",
            "coordinates":[[[179.5,50],[180,50.1]],[[-180,50.1],[-179.5,50]]]}}"#;
        let corridor = Corridor::parse(text).unwrap();
        let projection = Projection::of(&corridor, MAP, MARGIN);
        let place = |longitude| projection.place(Place::at(50.0, longitude).unwrap());
        let length = projection.pixels(corridor.line.length_m());
        assert!((place(-179.5).0 - place(179.5).0 - length).abs() < length / 20.0);
        assert!(svg(&corridor).contains("180° E") || svg(&corridor).contains("179.8° E"));
    }
}
