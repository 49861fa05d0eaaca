/// A point of wall-clock time in milliseconds since 1970-01-01T00:00:00Z.
///
/// Everything that is stored or shown uses it; deadlines inside a running process use `NIODeadline`.
package struct Timestamp: Hashable, Comparable, Sendable {
    package var milliseconds: Int64

    package init(milliseconds: Int64) {
        self.milliseconds = milliseconds
    }

    package static let distantFuture = Timestamp(milliseconds: .max / 4)

    package static func < (left: Timestamp, right: Timestamp) -> Bool {
        left.milliseconds < right.milliseconds
    }

    /// Adds a span; saturates far beyond any real date instead of trapping.
    package static func + (left: Timestamp, span: Span) -> Timestamp {
        let (sum, overflow) = left.milliseconds.addingReportingOverflow(span.milliseconds)
        return overflow ? .distantFuture : Timestamp(milliseconds: sum)
    }

    package static func - (left: Timestamp, right: Timestamp) -> Span {
        Span(milliseconds: left.milliseconds.subtractingReportingOverflow(right.milliseconds).partialValue)
    }

    /// A length of wall-clock time in milliseconds.
    package struct Span: Hashable, Comparable, Sendable {
        package var milliseconds: Int64

        package init(milliseconds: Int64) {
            self.milliseconds = milliseconds
        }

        package static func seconds(_ count: Int64) -> Span { Span(milliseconds: count.multipliedClamped(by: 1_000)) }
        package static func minutes(_ count: Int64) -> Span { .seconds(count.multipliedClamped(by: 60)) }
        package static func hours(_ count: Int64) -> Span { .minutes(count.multipliedClamped(by: 60)) }
        package static func days(_ count: Int64) -> Span { .hours(count.multipliedClamped(by: 24)) }

        package static func < (left: Span, right: Span) -> Bool { left.milliseconds < right.milliseconds }
    }
}

extension Int64 {
    fileprivate func multipliedClamped(by factor: Int64) -> Int64 {
        let (product, overflow) = multipliedReportingOverflow(by: factor)
        return overflow ? (self < 0 ? .min : .max) : product
    }
}

/// Where wall-clock time comes from; handed in so that tests can move it.
package protocol TimeSource: Sendable {
    func now() -> Timestamp
}
