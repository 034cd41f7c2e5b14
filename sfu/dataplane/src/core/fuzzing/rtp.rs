//! RTP headers, header extensions and their rewriting, retransmissions.

use std::fmt::Write;

use crate::core::wire::extensions::{ExtensionRewriter, ExtensionSelection, MidElement, OwnElements};
use crate::core::wire::hex::to_hex;
use crate::core::wire::rtp::{Element, Header, padding_size_untrusted, parse_header_untrusted};
use crate::core::wire::rtx::unwrap_rtx_untrusted;

type Values = Vec<(u8, Vec<u8>)>;

fn values(packet: &[u8], elements: &[Element]) -> Values {
    elements.iter().map(|element| (element.number, element.value(packet).to_vec())).collect()
}

/// Everything lies within the packet; rewriting keeps the chosen elements; a retransmission gives a readable packet.
pub fn try_untrusted(packet: &[u8]) {
    let mut elements = Vec::new();
    let Ok(header) = parse_header_untrusted(packet, &mut elements) else { return };
    assert!(header.csrcs_end <= header.size && header.size <= packet.len());
    for element in &elements {
        assert!(element.number != 0 && element.start <= element.end && usize::from(element.end) <= header.size);
        assert!(usize::from(element.start) >= header.csrcs_end + 4);
    }
    if let Ok(padding) = padding_size_untrusted(packet, &header) {
        assert!(header.size + padding <= packet.len());
    }
    rewrite(packet, &header, &elements);
    let mut repeated = packet.to_vec();
    if let Ok(Some((unwrapped, original))) = unwrap_rtx_untrusted(&mut repeated, &header, 96, 7) {
        let mut again = Vec::new();
        assert_eq!(parse_header_untrusted(original, &mut again), Ok(unwrapped));
        assert_eq!(values(original, &again), values(packet, &elements));
    }
}

/// The new block is read back as the elements that were chosen, with ours in front.
fn rewrite(packet: &[u8], header: &Header, elements: &[Element]) {
    for (wide_id, mid) in [(None, None), (Some(5), Some("0")), (Some(20), Some("a long media section"))] {
        let mid = mid.and_then(|mid| MidElement::new(1, mid.as_bytes()));
        let ids = vec![(1, 9), (2, 14), (3, 30), (15, 2)];
        let selection = ExtensionSelection::new(ids.clone(), wide_id, Some(1), mid.as_ref());
        let mut rewriter = ExtensionRewriter::new(selection, mid.clone());
        rewriter.prepare(packet, elements, 1);
        let own = OwnElements { numbered: wide_id.is_some(), mid: mid.as_ref() };
        let mut block = Vec::new();
        rewriter.write(own, &mut block);
        assert_eq!(block.len(), rewriter.size(own));
        assert!(block.len() <= packet.len() + 4 * elements.len() + 64);
        let rewritten = [&[0x80 | if block.is_empty() { 0 } else { 0x10 }], &packet[1..12], &block].concat();
        let mut found = Vec::new();
        let read = parse_header_untrusted(&rewritten, &mut found).unwrap();
        assert_eq!((read.size, read.ssrc), (rewritten.len(), header.ssrc));
        let chosen = values(packet, elements).into_iter().filter_map(|(number, value)| {
            ids.iter().find(|(client, _)| *client == number).map(|(_, ours)| (*ours, value))
        });
        let own = usize::from(own.numbered) + usize::from(own.mid.is_some());
        assert_eq!(values(&rewritten, &found[own..]), chosen.collect::<Values>());
    }
}

/// The header, in words; see [`super::describe`].
pub fn describe(packet: &[u8]) -> String {
    let mut elements = Vec::new();
    let Ok(header) = parse_header_untrusted(packet, &mut elements) else { return "malformed".into() };
    let padding = padding_size_untrusted(packet, &header).map_or("wrong".into(), |size| size.to_string());
    let Header { marker, payload_type, sequence_number, timestamp, ssrc, csrcs_end, size, .. } = header;
    let mut words = format!("type={payload_type} marker={} number={sequence_number}", u8::from(marker));
    _ = write!(words, " time={timestamp} ssrc={ssrc} csrcs={} size={size} padding={padding}", (csrcs_end - 12) / 4);
    for (number, value) in values(packet, &elements) {
        _ = write!(words, " {number}:{}", to_hex(&value));
    }
    words
}
