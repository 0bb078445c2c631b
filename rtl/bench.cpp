// Runs programs on the machine, each on one of its own: standard input to standard output, little-endian.
//
//   in    u32 programs; for each: u32 bytes of the instructions, them, u32 bytes of DRAM, them, u32 cycles at most
//   out   for each: u32 cycles, u32 fault, u32 late[3], for each of five queues u32 starts, u32 ends and the cycles of
//         both, then SRAM, and as many bytes of DRAM as were given

#include "Vtop.h"
#include "Vtop___024root.h"
#include "Vtop_machine.h"
#include "Vtop_top.h"
#include "verilated.h"
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

static std::vector<uint8_t> take(size_t size) {
  std::vector<uint8_t> data(size);
  if (size && fread(data.data(), 1, size, stdin) != size) {
    fprintf(stderr, "the input ends early\n");
    exit(2);
  }
  return data;
}

static uint32_t word() {
  auto d = take(4);
  return d[0] | d[1] << 8 | d[2] << 16 | uint32_t(d[3]) << 24;
}

static void put(uint32_t value) { fwrite(&value, 4, 1, stdout); }

int main() {
  uint32_t programs = word();
  for (uint32_t n = 0; n < programs; n++) {
    auto code = take(word());
    auto dram = take(word());
    uint32_t limit = word();
    auto context = std::make_unique<VerilatedContext>();
    auto top = std::make_unique<Vtop>(context.get());
    top->clk = 0, top->run = 0, top->load_valid = 0;
    top->eval();
    for (size_t i = 0; i < dram.size(); i++) top->rootp->top->dram[i] = dram[i];
    auto edge = [&] {
      top->clk = 1;
      top->eval();
      top->clk = 0;
      top->eval();
    };
    for (uint8_t byte : code) {
      top->load_valid = 1, top->load_byte = byte;
      top->eval();
      edge();
    }
    top->load_valid = 0, top->run = 1;
    top->eval();
    std::vector<uint32_t> starts[5], ends[5];
    uint32_t now = 0, late[3] = {0, 0, 0}, fault = 0;
    while (!top->done && now < limit && !fault) {
      for (int q = 0; q < 5; q++) {
        if (top->started >> q & 1) starts[q].push_back(now);
        if (top->ended >> q & 1) ends[q].push_back(now + 1);
      }
      for (int i = 0; i < 3; i++) late[i] += top->late >> i & 1;
      fault = top->fault;
      edge();
      now++;
    }
    put(now), put(top->done ? fault : fault ? fault : 255);
    for (uint32_t l : late) put(l);
    for (int q = 0; q < 5; q++) {
      put(starts[q].size()), put(ends[q].size());
      for (uint32_t c : starts[q]) put(c);
      for (uint32_t c : ends[q]) put(c);
    }
    auto& sram = top->rootp->top->machine->sram;
    for (size_t i = 0; i < SRAM_BYTES; i++) putchar(sram[i]);
    for (size_t i = 0; i < dram.size(); i++) putchar(top->rootp->top->dram[i]);
  }
  return 0;
}
