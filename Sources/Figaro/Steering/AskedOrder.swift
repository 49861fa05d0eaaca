import Delivery
import Mail

/// Why an order is not taken, for the person who gave it.
struct RefusedOrder: Error, Hashable {
    var why: String
}

extension StandingOrders.Order {
    /// Characters of a reason.
    static let reasonLength = 500
    /// How long an order may last by itself.
    static let spans = Timestamp.Span.seconds(1)...Timestamp.Span.days(365)

    /// An order as it came over the control socket, checked.
    static func asked(
        _ reason: String?, span: Int64?, by: String, at now: Timestamp = SystemTime().now()
    ) -> Result<StandingOrders.Order, RefusedOrder> {
        let reason = (reason ?? "").split(whereSeparator: \.isWhitespace).joined(separator: " ")
        guard !reason.isEmpty else { return .failure(RefusedOrder(why: "a reason is needed: --reason TEXT")) }
        guard reason.count <= reasonLength else {
            return .failure(RefusedOrder(why: "the reason is longer than \(reasonLength) characters"))
        }
        var until: Timestamp?
        if let span {
            guard spans.contains(Timestamp.Span(milliseconds: span)) else {
                return .failure(RefusedOrder(why: "--for is from 1s to 365d"))
            }
            until = now + Timestamp.Span(milliseconds: span)
        }
        return .success(StandingOrders.Order(by: by, reason: reason, since: now, until: until))
    }
}
