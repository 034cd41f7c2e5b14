"""Each kind of wrong notice is counted under its name, and no true one is counted."""

from protocol.events import LeaveReason, VoiceStateType
from protocol.vocabulary import Position
from tools.loadtest.messages import ChangeFact, EndedFact, Fact, FinalListFact, JoinedFact, JoiningFact, LeavingFact
from tools.loadtest.plan import LeaveKind
from tools.loadtest.truth import Truth

CHANNEL = "c"


class Story:
    """Facts in their order, a tenth of a second apart."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.now = 0.0
        self.listed: list[str] = []
        self.epoch = 1
        self.revision = 0
        self.visits: dict[str, int] = {}

    @property
    def position(self) -> Position:
        return Position(self.epoch, self.revision)

    def tick(self, seconds: float = 0.1) -> float:
        self.now += seconds
        return self.now

    def joins(self, user: str, *, noticed: bool = True) -> None:
        visit = self.visits[user] = self.visits.get(user, 0) + 1
        self.facts.append(JoiningFact(self.tick(), CHANNEL, user, visit))
        self.revision += 1
        if noticed:
            self.all_are_notified("user_joined", user)
        self.listed.append(user)
        self.facts.append(JoinedFact(self.tick(), CHANNEL, user, visit, self.position, tuple(self.listed)))

    def leaves(
        self, user: str, kind: LeaveKind = "leave", reason: LeaveReason = "left", *, noticed: bool = True
    ) -> None:
        self.facts.append(LeavingFact(self.tick(), CHANNEL, user, self.visits[user], kind))
        self.listed.remove(user)
        self.revision += 1
        if noticed:
            self.all_are_notified("user_left", user, reason)
        self.facts.append(EndedFact(self.tick(), CHANNEL, user, self.visits[user], planned=True))

    def all_are_notified(
        self, change: VoiceStateType, about: str, reason: LeaveReason | None = None, *, but: str | None = None
    ) -> None:
        for user in self.listed:
            if user != but:
                self.is_notified(user, change, about, reason)

    def is_notified(
        self,
        user: str,
        change: VoiceStateType,
        about: str,
        reason: LeaveReason | None = None,
        *,
        agrees: bool = True,
    ) -> None:
        change_fact = (self.position, change, about, reason, agrees)
        self.facts.append(ChangeFact(self.tick(0.01), CHANNEL, user, self.visits[user], *change_fact))

    def rests(self, seen: dict[str, tuple[str, ...]] | None = None) -> None:
        self.tick(2)
        for user in self.listed:
            listed = (seen or {}).get(user, tuple(self.listed))
            self.facts.append(FinalListFact(self.now, CHANNEL, user, self.visits[user], listed))

    def judged(self) -> Truth:
        """Pass the facts on as batches of two workers, out of order."""
        truth = Truth()
        truth.learn(self.facts[1::2])
        truth.judge(-1)
        truth.learn(self.facts[::2])
        truth.judge_at_rest(self.now)
        truth.finish(everything=True)
        return truth


def test_true_notices_are_no_errors() -> None:
    story = Story()
    for user in ("anna", "ben", "cleo"):
        story.joins(user)
    story.leaves("ben", "close")
    story.leaves("cleo", "kill", "disconnected")
    story.joins("ben")
    story.rests()
    truth = story.judged()
    assert truth.errors == {}, truth.examples
    assert truth.notices == 1 + 2 + 2 + 1 + 1
    assert set(truth.leave_to_notice) == {"close", "kill"}
    quantile = truth.leave_to_notice["close"].quantile(1)
    assert quantile is not None
    assert 0.01 < quantile < 0.03


def test_a_client_without_a_notice_has_missed_the_change() -> None:
    story = Story()
    for user in ("anna", "ben", "cleo"):
        story.joins(user)
    story.leaves("cleo", noticed=False)
    story.is_notified("ben", "user_left", "cleo", "left")
    story.joins("dora")
    story.rests()
    assert story.judged().errors == {"missed": 1}


def test_the_last_change_can_be_missed_too() -> None:
    story = Story()
    for user in ("anna", "ben", "cleo"):
        story.joins(user)
    story.leaves("cleo", noticed=False)
    story.is_notified("ben", "user_left", "cleo", "left")
    story.rests({"anna": ("anna", "ben", "cleo")})
    assert story.judged().errors == {"missed": 1, "ghost": 1}


def test_a_channel_that_reopens_counts_its_changes_anew() -> None:
    story = Story()
    for user in ("anna", "ben"):
        story.joins(user)
    story.leaves("ben")
    story.leaves("anna")
    story.epoch, story.revision = 2, 0
    for user in ("cleo", "anna"):
        story.joins(user)
    story.leaves("anna")
    story.rests()
    truth = story.judged()
    assert truth.errors == {}, truth.examples


def test_a_leave_in_a_later_epoch_ends_no_stay_of_an_earlier_one() -> None:
    story = Story()
    story.joins("anna")
    story.leaves("anna")
    story.epoch, story.revision = 2, 0
    story.joins("ben")
    story.revision += 1
    story.is_notified("ben", "user_left", "anna", "left")
    assert story.judged().errors == {"untrue": 1}


def test_a_change_of_the_next_epoch_tells_a_member_that_it_missed_an_end() -> None:
    story = Story()
    for user in ("anna", "ben"):
        story.joins(user)
    story.epoch, story.revision = 2, 1
    story.is_notified("anna", "user_updated", "ben")
    truth = story.judged()
    assert truth.errors == {"missed": 1}, truth.examples


def test_a_leave_without_any_notice_is_unannounced() -> None:
    story = Story()
    for user in ("anna", "ben"):
        story.joins(user)
    story.leaves("ben", noticed=False)
    story.revision -= 1  # as if it had not happened
    story.rests({"anna": ("anna", "ben")})
    assert story.judged().errors == {"unannounced": 1, "ghost": 1}


def test_a_second_notice_of_a_change_is_repeated() -> None:
    story = Story()
    for user in ("anna", "ben"):
        story.joins(user)
    story.leaves("ben")
    story.is_notified("anna", "user_left", "ben", "left", agrees=False)
    story.rests()
    assert story.judged().errors == {"repeated": 1, "differs": 1}


def test_a_notice_before_the_leave_is_untrue() -> None:
    story = Story()
    for user in ("anna", "ben"):
        story.joins(user)
    story.revision += 1
    story.is_notified("anna", "user_left", "ben", "left")
    story.tick(1)
    story.leaves("ben", noticed=False)
    story.revision -= 1
    story.rests()
    assert story.judged().errors == {"untrue": 1}


def test_a_leave_that_never_happened_is_untrue() -> None:
    story = Story()
    for user in ("anna", "ben"):
        story.joins(user)
    story.revision += 1
    story.is_notified("anna", "user_left", "ben", "left")
    truth = story.judged()
    assert truth.errors == {"untrue": 1}


def test_others_may_learn_first_that_a_connection_broke() -> None:
    story = Story()
    for user in ("anna", "ben"):
        story.joins(user)
    story.revision += 1
    story.is_notified("anna", "user_left", "ben", "disconnected")
    story.facts.append(EndedFact(story.tick(), CHANNEL, "ben", 1, planned=False))
    story.listed.remove("ben")
    story.rests()
    assert story.judged().errors == {}


def test_a_join_of_an_unknown_user_is_untrue() -> None:
    story = Story()
    story.joins("anna")
    story.revision += 1
    story.is_notified("anna", "user_joined", "stranger")
    story.rests({"anna": ("anna", "stranger")})
    assert story.judged().errors == {"untrue": 1, "ghost": 1}


def test_outsiders_may_join_and_leave() -> None:
    story = Story()
    story.joins("anna")
    story.revision += 1
    story.is_notified("anna", "user_joined", "full-0")
    story.rests({"anna": ("anna", "full-0")})
    truth = Truth(outsiders={"full-0"})
    truth.learn(story.facts)
    truth.judge_at_rest(story.now)
    assert truth.errors == {}


def test_a_wrong_reason_is_an_error() -> None:
    story = Story()
    for user in ("anna", "ben"):
        story.joins(user)
    story.leaves("ben", "leave", "timed_out")
    assert story.judged().errors == {"reason": 1}


def test_different_changes_under_one_revision_conflict() -> None:
    story = Story()
    for user in ("anna", "ben", "cleo"):
        story.joins(user)
    story.revision += 1
    story.is_notified("anna", "user_updated", "cleo")
    story.is_notified("ben", "user_updated", "anna")
    assert story.judged().errors == {"conflicting": 1}


def test_the_list_in_the_answer_to_join_is_checked() -> None:
    story = Story()
    story.joins("anna")
    story.joins("ben")
    story.leaves("ben")
    story.tick(5)
    story.listed = ["ben"]
    story.revision += 1
    story.facts.append(JoiningFact(story.tick(), CHANNEL, "cleo", 1))
    story.facts.append(JoinedFact(story.tick(), CHANNEL, "cleo", 1, story.position, ("ben", "cleo")))
    assert story.judged().errors == {"ghost": 1, "absent": 1}


def test_no_fact_is_judged_before_the_watermark() -> None:
    story = Story()
    for user in ("anna", "ben"):
        story.joins(user)
    truth = Truth()
    truth.learn(fact for fact in story.facts if isinstance(fact, ChangeFact))
    truth.judge(0)
    assert truth.notices == 0
    truth.learn(fact for fact in story.facts if not isinstance(fact, ChangeFact))
    truth.judge(story.now)
    assert (truth.notices, truth.errors) == (1, {})


def test_open_questions_are_dropped_when_the_run_breaks_off() -> None:
    story = Story()
    for user in ("anna", "ben"):
        story.joins(user)
    truth = Truth()
    truth.learn(story.facts)
    truth.judge(story.now)
    truth.learn(
        [
            LeavingFact(story.tick(), CHANNEL, "ben", 1, "leave"),
            EndedFact(story.tick(), CHANNEL, "ben", 1, planned=True),
        ]
    )
    truth.finish(everything=False)
    assert truth.errors == {}
