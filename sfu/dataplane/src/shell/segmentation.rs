//! For tests: systems with segmentation, systems without it, and sockets that refuse it later.

use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use seccompiler::{BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter};
use seccompiler::{SeccompRule, TargetArch, apply_filter};

use super::Sockets;

pub type Open = fn(Vec<UdpSocket>) -> Sockets;

/// Run a test on this system, and again as if its kernel were older than segmentation.
pub fn each_way(test: impl Fn(Open)) {
    test(open);
    test(open_unsegmented);
}

pub fn open(sockets: Vec<UdpSocket>) -> Sockets {
    Sockets::new(sockets.into_iter().map(Into::into).collect()).unwrap()
}

/// Open in a thread of its own: a filter lasts as long as its thread.
fn open_unsegmented(sockets: Vec<UdpSocket>) -> Sockets {
    let opened = std::thread::scope(|scope| {
        let opening = scope.spawn(|| {
            apply_filter(&refusal()).unwrap();
            open(sockets)
        });
        opening.join().unwrap()
    });
    assert_eq!(opened.max_segments(), 1);
    opened
}

/// Answer as Linux before 4.18 does, which knows neither option: ENOPROTOOPT.
fn refusal() -> BpfProgram {
    let equals =
        |place, value| SeccompCondition::new(place, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value as u64).unwrap();
    let refused = |option| SeccompRule::new(vec![equals(1, libc::SOL_UDP), equals(2, option)]).unwrap();
    let rules = vec![refused(libc::UDP_SEGMENT), refused(libc::UDP_GRO)];
    let answer = SeccompAction::Errno(libc::ENOPROTOOPT as u32);
    let here = TargetArch::try_from(std::env::consts::ARCH).unwrap();
    let by_call = [(libc::SYS_setsockopt, rules)].into();
    SeccompFilter::new(by_call, SeccompAction::Allow, answer, here).unwrap().try_into().unwrap()
}

/// Make the kernel refuse every segmented send of this socket (EINVAL), and no other.
#[allow(unsafe_code)]
pub fn refuse_segmented_sends(socket: &UdpSocket) {
    let on: libc::c_int = 1;
    let size = size_of_val(&on) as libc::socklen_t;
    // SAFETY: the option's value is read before this returns, and is as large as it is said to be.
    let done = unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_NO_CHECK, (&raw const on).cast(), size)
    };
    assert_eq!(done, 0);
}
