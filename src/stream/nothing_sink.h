// nothing_sink.h - a sink that shows and keeps nothing: of a pipeline whose output goes elsewhere,
// or nowhere.
#pragma once

#include "stream/sink.h"

namespace millrace {

class NothingSink : public Sink {
 public:
  ChangelogType Accepts() const override { return ChangelogType::kFull; }
  bool ShowsSteps() const override { return false; }
  void Write(ChangeChunk&) override {}
  void EndStep(int64_t) override {}
  std::string Prepare(int64_t) override { return ""; }
  std::optional<Published> Commit(int64_t, const std::string&) override { return std::nullopt; }
};

}  // namespace millrace
