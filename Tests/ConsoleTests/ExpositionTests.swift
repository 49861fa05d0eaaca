import Testing

@testable import Console

@Suite struct ExpositionTests {
    @Test func `a page reads as Prometheus wants it`() {
        var page = Exposition()
        page.family("mail_total", .counter, "What went\nthrough \\ here.")
        page.sample("mail_total", 7, ["site": "mx.example", "reply": "said \"no\"\\\nthen hung up"])
        page.single("waiting", .gauge, "What waits.", 0)
        #expect(
            page.text == #"""
                # HELP mail_total What went\nthrough \\ here.
                # TYPE mail_total counter
                mail_total{site="mx.example",reply="said \"no\"\\\nthen hung up"} 7
                # HELP waiting What waits.
                # TYPE waiting gauge
                waiting 0

                """#)
    }

    @Test func `buckets of a histogram add up`() {
        var page = Exposition()
        page.histogram("commit", "Commits.", bounds: [0.001, 0.5], counts: [3, 2, 1], sum: 4.25)
        #expect(
            page.text == """
                # HELP commit Commits.
                # TYPE commit histogram
                commit_bucket{le="0.001"} 3
                commit_bucket{le="0.5"} 5
                commit_bucket{le="+Inf"} 6
                commit_sum 4.25
                commit_count 6

                """)
    }
}
