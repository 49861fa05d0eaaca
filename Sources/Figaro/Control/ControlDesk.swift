/// Answers commands: each area at a desk of its own.
struct ControlDesk: Sendable {
    let queue: QueueDesk
    let trace: TraceDesk
    let support: SupportDesk
    let replies: RepliesDesk
    let source: SourceDesk
    let site: SiteDesk
    let customer: CustomerDesk
    let account: AccountDesk
    let reload: ReloadDesk
    let explain: ExplainDesk
    let message: MessageExplainDesk
    let top: TopDesk
    let filter: FilterDesk

    func answer(_ request: ControlRequest, _ caller: ControlCaller) -> ControlEnd {
        switch request {
        case .queue(let request): queue.answer(request, caller)
        case .trace(let request): trace.answer(request, caller)
        case .support(let request): support.answer(request, caller)
        case .replies(let request): replies.answer(request, caller)
        case .source(let request): source.answer(request, caller)
        case .site(let request): site.answer(request, caller)
        case .customer(let request): customer.answer(request, caller)
        case .account(let request): account.answer(request, caller)
        case .reload: reload.answer(caller)
        case .explain(let request): explain.answer(request, caller)
        case .message(let request): message.answer(request, caller)
        case .top(let request): top.answer(request, caller)
        case .filter: filter.answer(caller)
        }
    }
}
