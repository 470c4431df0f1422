// memory_state_store.h - a checkpoint's state in memory, for restarts within one process, in tests.
#pragma once

#include <cstring>

#include "stream/dataflow.h"

namespace millrace {

/// Keeps state in memory, piece by piece.
class MemoryStore : public StateStore {
 public:
  void Begin(const std::string& key, bool follows) override {
    auto& pieces = pieces_[key];
    if (!follows) pieces.clear();
    pieces.emplace_back();
  }
  void Append(const std::string& key, std::string_view bytes) override {
    pieces_.at(key).back() += bytes;
  }
  void Close(const std::string&) override {}
  std::vector<std::unique_ptr<StateInput>> Open(const std::string& key) override {
    std::vector<std::unique_ptr<StateInput>> inputs;
    for (const std::string& piece : pieces_[key]) inputs.push_back(std::make_unique<Input>(piece));
    return inputs;
  }
  std::map<std::string, std::vector<std::string>>& All() { return pieces_; }

 private:
  struct Input : StateInput {
    explicit Input(std::string value) : bytes(std::move(value)) {}
    size_t Read(char* buffer, size_t size) override {
      size = std::min(size, bytes.size() - at);
      memcpy(buffer, bytes.data() + at, size);
      at += size;
      return size;
    }
    void Skip(size_t size) override { at += std::min(size, bytes.size() - at); }
    std::unique_ptr<StateInput> Again() const override { return std::make_unique<Input>(bytes); }
    std::string bytes;
    size_t at = 0;
  };
  std::map<std::string, std::vector<std::string>> pieces_;
};

}  // namespace millrace
