import Mail
import Testing

@testable import Intake

struct HabitTests {
    private let monday = Timestamp(milliseconds: 20_780 * 86_400_000)

    /// A customer that has sent so many recipients in one hour of each of some days.
    private func habit(of count: Int, days: Int) -> Habit {
        var habit = Habit()
        for day in 0..<days { _ = habit.sent(count, at: monday + .days(Int64(day)) + .hours(9), Burst()) }
        return habit
    }

    @Test
    func `ten times the busiest hour is a burst, told once an hour`() {
        var habit = habit(of: 300, days: 5)
        let today = monday + .days(5)
        #expect(habit.sent(3_000, at: today, Burst()) == nil)
        #expect(habit.sent(10, at: today, Burst()) == Habit.Excess(count: 3_010, usual: 300))
        #expect(habit.sent(10_000, at: today + .minutes(30), Burst()) == nil)
        #expect(habit.sent(4_000, at: today + .hours(1), Burst()) == Habit.Excess(count: 4_000, usual: 300))
    }

    @Test
    func `who has no habit, or sends little, has no bursts`() {
        var new = habit(of: 10, days: 2)
        #expect(new.sent(1_000_000, at: monday + .days(2), Burst()) == nil)
        var small = habit(of: 1, days: 10)
        #expect(small.sent(1_000, at: monday + .days(10), Burst()) == nil)
        #expect(small.sent(1, at: monday + .days(10), Burst()) != nil)
        var growing = habit(of: 1_000, days: 10)
        #expect(growing.sent(9_000, at: monday + .days(10), Burst()) == nil)
    }

    @Test
    func `outlives a restart, and keeps two weeks`() {
        let habit = habit(of: 300, days: 40)
        #expect(habit.text.split(separator: " ").count == 14)
        var again = Habit(habit.text + " nonsense 1:2:3 -4:5 :")
        #expect(again.text == habit.text)
        #expect(again.sent(5_000, at: monday + .days(40), Burst()) == Habit.Excess(count: 5_000, usual: 300))
        #expect(Habit("").text.isEmpty)
    }
}
