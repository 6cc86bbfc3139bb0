#include "collector.h"

#include <algorithm>

namespace mvinr::gst {
namespace {

using State = Head::State;
using Use = Action::Use;

bool any_is(std::span<const Head> heads, State state) {
  return std::any_of(heads.begin(), heads.end(), [=](const Head& h) { return h.state == state; });
}

Decision discard_or(std::vector<Action> pops, Decision::Kind otherwise) {
  const bool any =
      std::any_of(pops.begin(), pops.end(), [](const Action& action) { return action.pop; });
  return {.kind = any ? Decision::Kind::discard : otherwise, .actions = std::move(pops)};
}

}  // namespace

Decision Collector::first(std::span<const Head> heads) const {
  std::vector<Action> pops(pads_);
  // A gap before a pad's first frame has nothing to repeat.
  for (size_t i = 0; i < pads_; ++i) pops[i].pop = heads[i].state == State::gap;
  if (any_is(heads, State::gap)) return discard_or(std::move(pops), Decision::Kind::discard);
  if (any_is(heads, State::ended)) return {.kind = Decision::Kind::ended};
  if (any_is(heads, State::empty)) return {.kind = Decision::Kind::wait};

  int64_t latest = heads[0].time, earliest = heads[0].time;
  for (const Head& head : heads) {
    latest = std::max(latest, head.time);
    earliest = std::min(earliest, head.time);
  }
  for (size_t i = 0; i < pads_; ++i) pops[i].pop = heads[i].time < latest - duration_ / 2;
  Decision decision = discard_or(std::move(pops), Decision::Kind::set);
  if (decision.kind == Decision::Kind::set) {
    decision.actions.assign(pads_, {.use = Use::head, .pop = true});
    decision.time = earliest;
  }
  return decision;
}

Decision Collector::next(std::span<const Head> heads, bool timeout) {
  if (!last_) {
    Decision decision = first(heads);
    if (decision.kind == Decision::Kind::set) last_ = decision.time;
    return decision;
  }
  const int64_t half = duration_ / 2;
  std::vector<Action> actions(pads_);
  for (size_t i = 0; i < pads_; ++i) {
    const Head& head = heads[i];
    actions[i].pop = (head.state == State::frame && head.time < *last_ + half) ||
                     (head.state == State::gap && head.end <= *last_ + half);
  }
  Decision late = discard_or(actions, Decision::Kind::set);
  if (late.kind == Decision::Kind::discard) return late;
  if (any_is(heads, State::ended)) return {.kind = Decision::Kind::ended};
  if (!timeout && any_is(heads, State::empty)) return {.kind = Decision::Kind::wait};

  // A gap that began before the last set goes on: it stands for the next instant.
  auto time_of = [&](const Head& head) {
    return head.state == State::gap ? std::max(head.time, *last_ + duration_) : head.time;
  };
  std::optional<int64_t> time;
  for (const Head& head : heads)
    if (head.state != State::empty) time = std::min(time.value_or(INT64_MAX), time_of(head));
  if (!time) return {.kind = Decision::Kind::wait};

  for (size_t i = 0; i < pads_; ++i) {
    const Head& head = heads[i];
    const bool now = head.state != State::empty && time_of(head) - *time <= half;
    if (!now) {
      actions[i] = {.use = Use::last};
    } else if (head.state == State::frame) {
      actions[i] = {.use = Use::head, .pop = true};
    } else {
      // Kept while it also covers the instant after this one.
      actions[i] = {.use = Use::gap, .pop = head.end < *time + duration_ + half};
    }
  }
  const int64_t instants = (*time - *last_ + half) / duration_;  // since the last set, rounded
  Decision decision{.kind = Decision::Kind::set, .actions = std::move(actions), .time = *time};
  decision.missing = std::max<int64_t>(instants - 1, 0);
  last_ = *time;
  return decision;
}

}  // namespace mvinr::gst
