// stored_state.h - a checkpoint's state in memory, for restarts within one process.
#pragma once

#include <cstring>

#include "stream/dataflow.h"

namespace millrace {

/// Keeps the pieces of each value. Threads: one at a time.
class StoredState : public StateStore {
 public:
  void Begin(const std::string& key, bool follows) override {
    if (!follows) pieces_[key].clear();
    pieces_[key].emplace_back();
  }
  void Append(const std::string& key, std::string_view bytes) override {
    pieces_.at(key).back() += bytes;
  }
  void Close(const std::string&) override {}
  std::vector<std::unique_ptr<StateInput>> Open(const std::string& key) override {
    std::vector<std::unique_ptr<StateInput>> inputs;
    for (const std::string& piece : pieces_[key]) inputs.push_back(std::make_unique<Piece>(piece));
    return inputs;
  }

 private:
  struct Piece : StateInput {
    explicit Piece(std::string value) : bytes(std::move(value)) {}
    size_t Read(char* buffer, size_t size) override {
      size = std::min(size, bytes.size() - at);
      memcpy(buffer, bytes.data() + at, size);
      at += size;
      return size;
    }
    std::string bytes;
    size_t at = 0;
  };
  std::map<std::string, std::vector<std::string>> pieces_;
};

}  // namespace millrace
