//! The template dependency structure: the kinds of frames in a stream, and the layers that a receiver can choose.

use super::bits::BitReader;
use crate::core::wire::payload::LayerIds;

/// The most templates of a structure: a template's id has six bits.
const MAX_TEMPLATES: usize = 64;
/// The highest spatial and temporal layers (MaxSpatialId and MaxTemporalId of the specification).
const MAX_SPATIAL: u8 = 3;
const MAX_TEMPORAL: u8 = 7;

/// How a frame relates to a decode target, as two bits.
const NOT_PRESENT: u8 = 0;
const SWITCH: u8 = 2;

/// One kind of frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Template {
    /// The layer of its frames.
    pub layer: LayerIds,
    /// See [`promises`].
    pub promises: bool,
    /// Its frames depend on other frames.
    pub depends: bool,
}

/// The template dependency structure of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Structure {
    /// The id of the first template.
    offset: u8,
    templates: Vec<Template>,
    /// The highest layer of each decode target.
    targets: Vec<LayerIds>,
    chains: u32,
}

impl Structure {
    /// Read a structure; `None` if it is truncated or exceeds the bounds of the specification.
    pub fn read_untrusted(bits: &mut BitReader<'_>) -> Option<Self> {
        let offset = bits.number(6)? as u8;
        let target_count = bits.number(5)? as usize + 1;
        let mut templates = read_layers_untrusted(bits)?;
        let mut targets = vec![LayerIds::default(); target_count];
        let mut relations = Vec::with_capacity(templates.len() * target_count);
        for template in &templates {
            for target in &mut targets {
                let relation = bits.number(2)? as u8;
                if relation != NOT_PRESENT {
                    *target = target.max(template.layer);
                }
                relations.push(relation);
            }
        }
        for (template, relations) in templates.iter_mut().zip(relations.chunks(target_count)) {
            template.promises = promises(template.layer, relations.iter().copied().zip(&targets));
            template.depends = skip_differences_untrusted(bits)?;
        }
        let chains = skip_chains_untrusted(bits, target_count, templates.len())?;
        if bits.flag()? {
            let highest = templates.last().map_or(0, |template| template.layer.spatial);
            // A width and a height, 16 bits each.
            (0..=highest).try_for_each(|_| bits.number(32).map(|_| ()))?;
        }
        Some(Self { offset, templates, targets, chains })
    }

    /// The template with this id of six bits.
    pub fn template(&self, id: u8) -> Option<Template> {
        self.templates.get(usize::from(id.wrapping_sub(self.offset) & 0x3F)).copied()
    }

    /// How many decode targets there are, from 1 to 32.
    pub fn target_count(&self) -> usize {
        self.targets.len()
    }

    /// How many chains there are.
    pub fn chains(&self) -> u32 {
        self.chains
    }

    /// The highest layers among the decode targets in the set `active`, which has a bit for each.
    pub fn highest(&self, active: u32) -> LayerIds {
        let used = self.targets.iter().enumerate().filter(|(index, _)| active >> index & 1 == 1);
        used.fold(LayerIds::default(), |highest, (_, &target)| highest.max(target))
    }

    /// Read the relation of one frame to each decode target.  Gives whether the frame [`promises`].
    pub fn read_relations_untrusted(&self, bits: &mut BitReader<'_>, layer: LayerIds) -> Option<bool> {
        let mut relations = [NOT_PRESENT; 32];
        for relation in &mut relations[..self.targets.len()] {
            *relation = bits.number(2)? as u8;
        }
        Some(promises(layer, relations.into_iter().zip(&self.targets)))
    }
}

/// Whether a receiver can take up higher temporal layers behind a frame of this layer.
///
/// So it is if the frame is a switch indication for all decode targets of its own spatial layer with its own temporal
/// layer or a higher one.
fn promises<'a>(layer: LayerIds, relations: impl Iterator<Item = (u8, &'a LayerIds)>) -> bool {
    let concerns = |target: &LayerIds| target.spatial == layer.spatial && target.temporal >= layer.temporal;
    let mut concerned = relations.filter(|(_, target)| concerns(target)).peekable();
    concerned.peek().is_some() && concerned.all(|(relation, _)| relation == SWITCH)
}

/// Read the layers of all templates, each given by the step from the one before.
fn read_layers_untrusted(bits: &mut BitReader<'_>) -> Option<Vec<Template>> {
    let mut templates = Vec::new();
    let mut layer = LayerIds::default();
    while templates.len() < MAX_TEMPLATES && layer.spatial <= MAX_SPATIAL && layer.temporal <= MAX_TEMPORAL {
        templates.push(Template { layer, ..Template::default() });
        match bits.number(2)? {
            0 => {}
            1 => layer.temporal += 1,
            2 => layer = LayerIds { spatial: layer.spatial + 1, temporal: 0 },
            _ => return Some(templates),
        }
    }
    None
}

/// Skip the differences of a template to the frames that it depends on.  Gives whether there are any.
fn skip_differences_untrusted(bits: &mut BitReader<'_>) -> Option<bool> {
    let mut depends = false;
    while bits.flag()? {
        bits.number(4)?;
        depends = true;
    }
    Some(depends)
}

/// Skip the chains.  Gives their number, at most that of the decode targets.
fn skip_chains_untrusted(bits: &mut BitReader<'_>, targets: usize, templates: usize) -> Option<u32> {
    let chains = bits.below(targets as u32 + 1)?;
    if chains > 0 {
        // The chain that protects each decode target.
        (0..targets).try_for_each(|_| bits.below(chains).map(|_| ()))?;
        (0..templates * chains as usize).try_for_each(|_| bits.number(4).map(|_| ()))?;
    }
    Some(chains)
}
