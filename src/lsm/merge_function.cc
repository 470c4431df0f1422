#include "lsm/merge_function.h"

#include "base/error.h"

namespace millrace {

namespace {

class LastWins : public MergeFunction {
 public:
  void Choose(const KeyGroups& groups, uint32_t* winners) const override {
    for (idx_t i = 0; i < groups.count; i++) winners[i] = groups.starts[i + 1] - 1;
  }
};

class FirstWins : public MergeFunction {
 public:
  void Choose(const KeyGroups& groups, uint32_t* winners) const override {
    for (idx_t i = 0; i < groups.count; i++) winners[i] = groups.starts[i];
  }
};

}  // namespace

const MergeFunction& MergeFunctionOf(MergeEngine engine) {
  static const LastWins last;
  static const FirstWins first;
  return engine == MergeEngine::kFirstRow ? static_cast<const MergeFunction&>(first) : last;
}

}  // namespace millrace
