"""What everybody was shown, against what is true: each lie has its name, and no truth is taken for one."""

from protocol.events import LeaveReason, VoiceStateType
from tools.loadtest.messages import AskedFact, EndedFact, Fact, JoinedFact, LeavingFact, RestFact, ToldFact
from tools.loadtest.plan import ChurnKind
from tools.loadtest.truth import Truth

CHANNEL = "c"


class Story:
    """Facts, one after the other, a tenth of a second apart."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.now = 0.0
        self.listed: list[str] = []
        self.revision = 0
        self.visits: dict[str, int] = {}

    def tick(self, seconds: float = 0.1) -> float:
        self.now += seconds
        return self.now

    def joins(self, user: str, *, told: bool = True) -> None:
        visit = self.visits[user] = self.visits.get(user, 0) + 1
        self.facts.append(AskedFact(self.tick(), CHANNEL, user, visit))
        self.revision += 1
        if told:
            self.all_are_told("user_joined", user)
        self.listed.append(user)
        self.facts.append(JoinedFact(self.tick(), CHANNEL, user, visit, self.revision, tuple(self.listed)))

    def leaves(self, user: str, kind: ChurnKind = "leave", reason: LeaveReason = "left", *, told: bool = True) -> None:
        self.facts.append(LeavingFact(self.tick(), CHANNEL, user, self.visits[user], kind))
        self.listed.remove(user)
        self.revision += 1
        if told:
            self.all_are_told("user_left", user, reason)
        self.facts.append(EndedFact(self.tick(), CHANNEL, user, self.visits[user], planned=True))

    def all_are_told(
        self, change: VoiceStateType, about: str, reason: LeaveReason | None = None, *, but: str | None = None
    ) -> None:
        for user in self.listed:
            if user != but:
                self.is_told(user, change, about, reason)

    def is_told(
        self,
        user: str,
        change: VoiceStateType,
        about: str,
        reason: LeaveReason | None = None,
        *,
        revision: int | None = None,
        agrees: bool = True,
    ) -> None:
        told = (self.revision if revision is None else revision, change, about, reason, agrees)
        self.facts.append(ToldFact(self.tick(0.01), CHANNEL, user, self.visits[user], *told))

    def rests(self, seen: dict[str, tuple[str, ...]] | None = None) -> None:
        self.tick(2)
        for user in self.listed:
            listed = (seen or {}).get(user, tuple(self.listed))
            self.facts.append(RestFact(self.now, CHANNEL, user, self.visits[user], self.revision, listed))

    def judged(self) -> Truth:
        """From two workers, whose batches come in another order than things happened."""
        truth = Truth()
        truth.learn(self.facts[1::2])
        truth.judge(-1)
        truth.learn(self.facts[::2])
        truth.judge_at_rest(self.now)
        truth.finish(everything=True)
        return truth


def test_the_truth_is_no_error() -> None:
    story = Story()
    for user in ("anna", "ben", "cleo"):
        story.joins(user)
    story.leaves("ben", "close")
    story.leaves("cleo", "kill", "disconnected")
    story.joins("ben")
    story.rests()
    truth = story.judged()
    assert truth.errors == {}, truth.examples
    assert truth.told == 1 + 2 + 2 + 1 + 1
    assert set(truth.left_to_told) == {"close", "kill"}
    quantile = truth.left_to_told["close"].quantile(1)
    assert quantile is not None
    assert 0.01 < quantile < 0.03


def test_who_is_not_told_has_missed_it() -> None:
    story = Story()
    for user in ("anna", "ben", "cleo"):
        story.joins(user)
    story.leaves("cleo", told=False)
    story.is_told("ben", "user_left", "cleo", "left")
    story.joins("dora")
    story.rests()
    assert story.judged().errors == {"missed": 1}


def test_the_last_change_can_be_missed_too() -> None:
    story = Story()
    for user in ("anna", "ben", "cleo"):
        story.joins(user)
    story.leaves("cleo", told=False)
    story.is_told("ben", "user_left", "cleo", "left")
    story.rests({"anna": ("anna", "ben", "cleo")})
    story.facts = [
        fact if not isinstance(fact, RestFact) or fact.user_id != "anna" else RestFact(*_but_revision(fact, 3))
        for fact in story.facts
    ]
    assert story.judged().errors == {"missed": 1, "ghost": 1}


def _but_revision(quiet: RestFact, revision: int) -> tuple[float, str, str, int, int, tuple[str, ...]]:
    return quiet.at, quiet.channel_id, quiet.user_id, quiet.visit, revision, quiet.listed


def test_a_leave_that_nobody_is_told_of_is_unannounced() -> None:
    story = Story()
    for user in ("anna", "ben"):
        story.joins(user)
    story.leaves("ben", told=False)
    story.revision -= 1  # as if it had not happened
    story.rests({"anna": ("anna", "ben")})
    assert story.judged().errors == {"unannounced": 1, "ghost": 1}


def test_told_twice() -> None:
    story = Story()
    for user in ("anna", "ben"):
        story.joins(user)
    story.leaves("ben")
    story.is_told("anna", "user_left", "ben", "left", agrees=False)
    story.rests()
    assert story.judged().errors == {"repeated": 1, "differs": 1}


def test_told_before_it_happened() -> None:
    story = Story()
    for user in ("anna", "ben"):
        story.joins(user)
    story.revision += 1
    story.is_told("anna", "user_left", "ben", "left")
    story.tick(1)
    story.leaves("ben", told=False)
    story.revision -= 1
    story.rests()
    assert story.judged().errors == {"untrue": 1}


def test_told_of_a_leave_that_never_happened() -> None:
    story = Story()
    for user in ("anna", "ben"):
        story.joins(user)
    story.revision += 1
    story.is_told("anna", "user_left", "ben", "left")
    truth = story.judged()
    assert truth.errors == {"untrue": 1}


def test_a_connection_that_broke_by_itself_is_known_to_others_first() -> None:
    story = Story()
    for user in ("anna", "ben"):
        story.joins(user)
    story.revision += 1
    story.is_told("anna", "user_left", "ben", "disconnected")
    story.facts.append(EndedFact(story.tick(), CHANNEL, "ben", 1, planned=False))
    story.listed.remove("ben")
    story.rests()
    assert story.judged().errors == {}


def test_somebody_who_never_came() -> None:
    story = Story()
    story.joins("anna")
    story.revision += 1
    story.is_told("anna", "user_joined", "stranger")
    story.rests({"anna": ("anna", "stranger")})
    assert story.judged().errors == {"untrue": 1, "ghost": 1}


def test_an_outsider_may_come_and_go() -> None:
    story = Story()
    story.joins("anna")
    story.revision += 1
    story.is_told("anna", "user_joined", "full-0")
    story.rests({"anna": ("anna", "full-0")})
    truth = Truth(outsiders={"full-0"})
    truth.learn(story.facts)
    truth.judge_at_rest(story.now)
    assert truth.errors == {}


def test_another_reason_than_the_true_one() -> None:
    story = Story()
    for user in ("anna", "ben"):
        story.joins(user)
    story.leaves("ben", "leave", "timed_out")
    assert story.judged().errors == {"reason": 1}


def test_two_who_are_told_different_things_under_one_revision() -> None:
    story = Story()
    for user in ("anna", "ben", "cleo"):
        story.joins(user)
    story.revision += 1
    story.is_told("anna", "user_updated", "cleo")
    story.is_told("ben", "user_updated", "anna")
    assert story.judged().errors == {"conflicting": 1}


def test_a_list_with_a_ghost_or_without_somebody_in_the_answer_to_join() -> None:
    story = Story()
    story.joins("anna")
    story.joins("ben")
    story.leaves("ben")
    story.tick(5)
    story.listed = ["ben"]
    story.revision += 1
    story.facts.append(AskedFact(story.tick(), CHANNEL, "cleo", 1))
    story.facts.append(JoinedFact(story.tick(), CHANNEL, "cleo", 1, story.revision, ("ben", "cleo")))
    assert story.judged().errors == {"ghost": 1, "absent": 1}


def test_nothing_is_judged_before_all_is_known() -> None:
    story = Story()
    for user in ("anna", "ben"):
        story.joins(user)
    truth = Truth()
    truth.learn(fact for fact in story.facts if isinstance(fact, ToldFact))
    truth.judge(0)
    assert truth.told == 0
    truth.learn(fact for fact in story.facts if not isinstance(fact, ToldFact))
    truth.judge(story.now)
    assert (truth.told, truth.errors) == (1, {})


def test_what_was_still_open_when_the_run_broke_off_says_nothing() -> None:
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
