/// Answers commands: each area at a desk of its own.
struct ControlDesk: Sendable {
    let queue: QueueDesk
    let trace: TraceDesk
    let support: SupportDesk
    let replies: RepliesDesk

    func answer(_ request: ControlRequest, _ caller: ControlCaller) -> ControlEnd {
        switch request {
        case .queue(let request): queue.answer(request, caller)
        case .trace(let request): trace.answer(request, caller)
        case .support(let request): support.answer(request, caller)
        case .replies(let request): replies.answer(request, caller)
        }
    }
}
