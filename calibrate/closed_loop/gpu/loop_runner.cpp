#include "calibrate/closed_loop/gpu/loop_runner.hpp"

#include <fmt/format.h>

#include "calibrate/gpu/check.hpp"
#include "core/error.hpp"
#include "kernels/communication.hpp"
#include "kernels/probe.hpp"

namespace orrery::closed_loop {
namespace {

using calibrate::Buffer;
using calibrate::Device;

constexpr std::int64_t kMovedBytes = 1ll << 30;
constexpr Stream kBoth[] = {Stream::compute, Stream::communication};

std::size_t index_of(Stream s) { return s == Stream::compute ? 0 : 1; }

}  // namespace

CommunicationBuffers::CommunicationBuffers(const Device& device)
    : from_(kMovedBytes), to_(kMovedBytes), report_(kSlots * kCommunicationSms * 24), stop_(256) {
    kernels::fill_random(from_.as<void>(), kMovedBytes / 2, kernels::Fill::bf16_normal, 5,
                         device.stream());
    ORRERY_CHECK(cudaMallocHost(reinterpret_cast<void**>(&started_), 4));
    *started_ = 0;
    ORRERY_CHECK(cudaMemset(stop_.as<void>(), 0, 4));
    ORRERY_CHECK(cudaStreamSynchronize(device.stream()));
}
CommunicationBuffers::~CommunicationBuffers() { cudaFreeHost(started_); }

Call CommunicationBuffers::call(const CommunicationTask& task, int slot) {
    if (slot >= kSlots) throw InputError("too many communications in one program");
    const OrreryCommunication what{int(kCommunicationSms),
                                   2,
                                   1,
                                   task.traffic.value() * 1e-9,
                                   from_.as<void>(),
                                   to_.as<void>(),
                                   kMovedBytes,
                                   std::int64_t(task.time.value() * 1e9),
                                   stop_.as<int>(),
                                   started_,
                                   report_.as<std::uint64_t>() + slot * kCommunicationSms * 3};
    return [what](cudaStream_t s) {
        calibrate::check(static_cast<cudaError_t>(orrery_communication_launch(&what, s)),
                         "orrery_communication_launch");
    };
}

double CommunicationBuffers::achieved(int slot) const {
    std::vector<std::uint64_t> raw(std::size_t(kCommunicationSms) * 3);
    ORRERY_CHECK(cudaMemcpy(raw.data(), report_.as<std::uint64_t>() + slot * kCommunicationSms * 3,
                            raw.size() * 8, cudaMemcpyDeviceToHost));
    double rate = 0;
    for (std::size_t i = 0; i < raw.size(); i += 3)
        if (raw[i + 1] > 0) rate += double(raw[i]) / double(raw[i + 1]);
    return rate;
}

LoopRunner::LoopRunner(const Device& device, LayerKernels& kernels, const LayerProgram& program,
                       CommunicationBuffers* communication, const CommunicationCost* cost)
    : device_(device), program_(program) {
    int low = 0, high = 0;
    ORRERY_CHECK(cudaDeviceGetStreamPriorityRange(&low, &high));
    ORRERY_CHECK(cudaStreamCreateWithPriority(&communication_stream_, cudaStreamNonBlocking, high));
    for (cudaEvent_t* e : {&begin_, &end_})
        ORRERY_CHECK(cudaEventCreateWithFlags(e, cudaEventDisableTiming));
    for (const Stream s : kBoth) {
        add_steps(s, kernels, communication, cost);
        done_[index_of(s)].resize(program.program.stream(s).size());
    }
    for (const Stream s : kBoth) {
        for (const Instruction& i : program.program.stream(s)) {
            if (i.wait_count == 0 || i.wait_stream == s) continue;
            cudaEvent_t& e = done_[index_of(i.wait_stream)][i.wait_count - 1];
            if (!e) ORRERY_CHECK(cudaEventCreateWithFlags(&e, cudaEventDisableTiming));
        }
    }
}

LoopRunner::~LoopRunner() {
    for (auto& events : done_)
        for (cudaEvent_t e : events)
            if (e) cudaEventDestroy(e);
    cudaEventDestroy(begin_);
    cudaEventDestroy(end_);
    cudaStreamDestroy(communication_stream_);
}

void LoopRunner::add_steps(Stream s, LayerKernels& kernels, CommunicationBuffers* communication,
                           const CommunicationCost* cost) {
    std::vector<Step>& steps = s == Stream::compute ? compute_ : communication_steps_;
    const auto& instructions = program_.program.stream(s);
    // GEMMs of a pair leave the communication its SMs throughout.
    const std::int64_t sms =
        program_.chunk() == ChunkKind::overlapped ? device_.info().sms - kCommunicationSms : 0;
    for (std::uint32_t i = 0; i < instructions.size(); ++i) {
        const Instruction& instruction = instructions[i];
        if (instruction.kind == InstructionKind::collective) {
            const Operator& op = program_.collectives[instruction.index];
            steps.push_back(
                {s, i, 0, &op,
                 communication->call(communication_task(op, *cost), int(instruction.index)), 0});
            continue;
        }
        const auto& operators = program_.segments[instruction.index];
        for (std::uint32_t k = 0; k < operators.size(); ++k)
            steps.push_back({s, i, k, &operators[k], kernels.call(operators[k], sms), 0});
    }
}

void LoopRunner::enqueue_instruction(Stream s, std::uint32_t index) {
    const Instruction& instruction = program_.program.stream(s)[index];
    if (instruction.wait_count > 0 && instruction.wait_stream != s)
        ORRERY_CHECK(cudaStreamWaitEvent(
            stream(s), done_[index_of(instruction.wait_stream)][instruction.wait_count - 1]));
    for (const Step& step : steps(s))
        if (step.instruction == index && step.call) step.call(stream(s));
    if (const cudaEvent_t e = done_[index_of(s)][index])
        ORRERY_CHECK(cudaEventRecord(e, stream(s)));
}

// An event is recorded before it is waited for: streams are queued as far as each may go in turn.
void LoopRunner::enqueue() {
    std::uint32_t next[2] = {0, 0};
    ORRERY_CHECK(cudaEventRecord(begin_, stream(Stream::compute)));
    ORRERY_CHECK(cudaStreamWaitEvent(stream(Stream::communication), begin_));
    bool moved = true;
    while (moved) {
        moved = false;
        for (const Stream s : kBoth) {
            const auto& instructions = program_.program.stream(s);
            std::uint32_t& at = next[index_of(s)];
            while (at < instructions.size() &&
                   next[index_of(instructions[at].wait_stream)] >= instructions[at].wait_count) {
                enqueue_instruction(s, at++);
                moved = true;
            }
        }
    }
    ORRERY_CHECK(cudaEventRecord(end_, stream(Stream::communication)));
    ORRERY_CHECK(cudaStreamWaitEvent(stream(Stream::compute), end_));
}

void LoopRunner::count_kernels(calibrate::KernelTimer& timer) {
    ORRERY_CHECK(cudaDeviceSynchronize());
    timer.take();
    for (const Stream s : kBoth) {
        for (Step& step : s == Stream::compute ? compute_ : communication_steps_) {
            if (!step.call) continue;
            step.call(stream(s));
            ORRERY_CHECK(cudaStreamSynchronize(stream(s)));
            const auto records = timer.take();
            step.kernels = int(records.size());
            if (records.empty())
                throw InputError(fmt::format("{}: CUPTI saw no kernel", step.op->name));
            stream_ids_[index_of(s)] = records[0].stream;
        }
    }
}

}  // namespace orrery::closed_loop
