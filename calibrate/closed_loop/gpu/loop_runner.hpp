#pragma once
// Runs a layer program on the GPU as the simulator's streams say: a stream of compute, a stream of
// communication, instructions in order, an event wherever one stream waits for the other.

#include <memory>
#include <string>
#include <vector>

#include "calibrate/closed_loop/gpu/layer_kernels.hpp"
#include "calibrate/closed_loop/layer_program.hpp"
#include "calibrate/gpu/kernel_timer.hpp"

namespace orrery::closed_loop {

// One operator or communication of the program, in the order of its stream.
struct Step {
    Stream stream = Stream::compute;
    std::uint32_t instruction = 0, operation = 0;  // operation: within the segment
    const Operator* op = nullptr;
    Call call;        // empty: another operator's call holds its kernels
    int kernels = 0;  // records that CUPTI gives of a call; counted by count_kernels()
};

// Device memory that the communication stand-ins move, one pair of buffers for all.
class CommunicationBuffers {
  public:
    explicit CommunicationBuffers(const calibrate::Device& device);
    ~CommunicationBuffers();
    CommunicationBuffers(const CommunicationBuffers&) = delete;
    // A call that holds 20 SMs for task.time and moves task.traffic. `slot` keeps its report.
    Call call(const CommunicationTask& task, int slot);
    // GB/s that the last call of that slot moved.
    double achieved(int slot) const;

  private:
    static constexpr int kSlots = 16;
    calibrate::Buffer from_, to_, report_, stop_;
    int* started_ = nullptr;  // host memory that both sides see
};

class LoopRunner {
  public:
    LoopRunner(const calibrate::Device& device, LayerKernels& kernels, const LayerProgram& program,
               CommunicationBuffers* communication, const CommunicationCost* cost);
    ~LoopRunner();
    LoopRunner(const LoopRunner&) = delete;

    // Queues one round: begins where the device's stream stands, ends with both streams joined.
    void enqueue();
    // Runs every step alone and asks CUPTI for its kernels. The streams are idle before and after.
    void count_kernels(calibrate::KernelTimer& timer);

    const LayerProgram& program() const { return program_; }
    const std::vector<Step>& steps(Stream s) const {
        return s == Stream::compute ? compute_ : communication_steps_;
    }
    cudaStream_t stream(Stream s) const {
        return s == Stream::compute ? device_.stream() : communication_stream_;
    }
    // CUPTI's number of a stream, from count_kernels(); 0 where it has no kernels.
    std::uint32_t stream_id(Stream s) const { return stream_ids_[s == Stream::compute ? 0 : 1]; }

  private:
    void add_steps(Stream s, LayerKernels& kernels, CommunicationBuffers* communication,
                   const CommunicationCost* cost);
    void enqueue_instruction(Stream s, std::uint32_t index);

    const calibrate::Device& device_;
    const LayerProgram& program_;
    std::vector<Step> compute_, communication_steps_;
    std::vector<cudaEvent_t> done_[2];  // by stream and instruction; null: nobody waits for it
    cudaEvent_t begin_ = nullptr, end_ = nullptr;
    cudaStream_t communication_stream_ = nullptr;
    std::uint32_t stream_ids_[2] = {0, 0};
};

}  // namespace orrery::closed_loop
