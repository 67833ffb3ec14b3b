"""Files of stock prices, wind and states: what is read, what is done to it, and what is refused in one line."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from lnpbrian.checks import InvalidInput
from lnpbrian.learning.series import lorenz63, roessler
from lnpbrian.learning.series_files import WIND_HELP, read_series
from lnpbrian.learning.tasks import short_protocol

DATA = Path(os.environ.get("LNPBRIAN_DATA", Path(__file__).parents[2] / "shared" / "data"))
KNOT, MPH = 0.514444, 0.44704  # m/s


@pytest.fixture
def write(tmp_path):
    def written(text: str | bytes, name: str = "file.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return written


def asos(*rows: str, header: str = "station,valid,drct,sknt") -> str:
    return "\n".join([header, *(f"DSM,2011-02-{row}" for row in rows)])


def data(name: str) -> Path:
    if not (DATA / name).exists():
        pytest.skip(f"no {name} under LNPBRIAN_DATA")
    return DATA / name


# --- real files -------------------------------------------------------------------------------------------------------


def test_google_prices():
    series = read_series(data("goog_daily_2004_2013.csv"), kind="stock", name="google")
    assert (series.name, len(series), series.step, series.notes) == ("google", 2148, "1 trading day", ())
    assert series.values[[0, -1], 0].tolist() == [100.34, 806.19]
    assert read_series(data("mfrfnn/Google_Stock_Price.mat")).values[0, 0] == 53.95277


@pytest.mark.parametrize(
    ("name", "rows", "lyapunov_time", "step"),
    [
        ("Lorenz20000", 20001, 110.42, "0.01 time units"),
        ("Rossler12700", 12734, 375.4, "0.03 time units"),
    ],
)
def test_published_systems_are_recognised(name, rows, lyapunov_time, step):
    series = read_series(data(f"mfrfnn/{name}.mat"), kind="system")
    assert (len(series), series.step, series.columns) == (rows, step, ("x", "y", "z"))
    assert series.lyapunov_time == pytest.approx(lyapunov_time, rel=0.03)


def test_published_wind():
    series = read_series(data("mfrfnn/Wind_Speed_Prediction.mat"))
    assert (len(series), series.scored, series.step) == (647, (0,), "1 h")
    # First row: 63.33 degrees, 8.1667 knots.
    expected = [8 * KNOT + KNOT / 6, np.sin(np.deg2rad(190 / 3)), np.cos(np.deg2rad(190 / 3))]
    np.testing.assert_allclose(series.values[0], expected, rtol=1e-5)


def test_a_year_of_hourly_wind():
    series = read_series(data("wind/jfk_hourly_2013.csv"), kind="wind")
    # First row: 12.65858 mph, which is 11 knots, from 260 degrees.
    np.testing.assert_allclose(series.values[0, 0], 11 * KNOT, rtol=1e-5)
    assert series.values[0, 1] == pytest.approx(-np.sin(np.deg2rad(80)))
    assert (series.step, series.scored) == ("1 h", (0,))
    assert len(series) > 7000
    assert short_protocol(series).n_windows == 20
    assert any("3 rows without a wind speed were left out" in note for note in series.notes)


def test_wind_with_observations_beside_the_hours():
    series = read_series(data("wind/iem_asos_MSP.txt"))
    # Six days of hours, 237 rows.
    assert (len(series), series.step) == (144, "1 h")
    assert "93 observations beside the regular ones were averaged with them." in series.notes
    # 6 knots from 150 degrees at 00:53.
    np.testing.assert_allclose(series.values[0], [6 * KNOT, 0.5, -(0.75**0.5)], rtol=1e-5)


def test_a_station_without_wind():
    with pytest.raises(InvalidInput, match="has no wind speed in its 144 rows; choose a station that reports wind"):
        read_series(data("wind/iem_asos_CXTO.txt"))


# --- what is done to wind ---------------------------------------------------------------------------------------------


def test_units_and_directions(write):
    path = write(asos("01 00:53,90,10", "01 01:53,180,20", "01 02:53,0,0", "01 03:53,M,3", "01 04:53,360,4"))
    series = read_series(path)
    np.testing.assert_allclose(series.values[:, 0], np.array([10, 20, 0, 3, 4]) * KNOT, rtol=1e-5)
    np.testing.assert_allclose(series.values[:, 1:], [(1, 0), (0, -1), (0, 0), (0, 0), (0, 1)], atol=1e-12)
    assert series.notes == (
        "Speeds were converted from knots to m/s.",
        "1 calm observation was given the direction (0, 0).",
        "1 observation without a direction was given the direction (0, 0).",
    )


@pytest.mark.parametrize(
    "text",
    [
        asos("01 00:53,90,10", "01 01:53,180,20", "01 02:53,270,30"),
        asos("01 00:53,90,10", "01 01:53,180,20", "01 02:53,270,30", header="station,valid(UTC), drct ,  sknt "),
        "#DEBUG: one\n#DEBUG: two\n" + asos("01 00:53,90,10", "01 01:53,180,20", "01 02:53,270,30"),
        "\ufeff" + asos("01 00:53,90,10\r", "01 01:53,180,20\r", "01 02:53,270,30\r"),
        asos("01 00:53,90,10", "01 01:53,180,20", "01 02:53,270,30").replace(",", "\t"),
        "station,obtime,longitude,latitude,sknt,drct,gust\n"
        "X,2011-02-01 00:00,-91,41,10,90,\nX,2011-02-01 01:00,-91,41,20,180,\nX,2011-02-01 02:00,-91,41,30,270,",
        ",station,obtime,sknt,drct\n"
        "0,X,2011-02-01 00:00,10,90\n1,X,2011-02-01 01:00,20,180\n2,X,2011-02-01 02:00,30,270\n",
        "origin,year,month,day,hour,wind_dir,wind_speed\n"
        "JFK,2011,2,1,0,90,11.5078\nJFK,2011,2,1,1,180,23.0156\nJFK,2011,2,1,2,270,34.5234",
        "wind_dir,wind_speed,time_hour\n"
        "90,11.5078,2011-02-01T00:00:00Z\n180,23.0156,2011-02-01T01:00:00Z\n270,34.5234,2011-02-01T02:00:00Z",
        asos("01 00:53,90,11.5078", "01 01:53,180,23.0156", "01 02:53,270,34.5234", header="station,valid,drct,sped"),
    ],
    ids=["asos", "padded", "debug", "windows", "tabs", "rwis", "rwis-index", "flights", "flights-utc", "mph"],
)
def test_formats_of_wind(write, text):
    series = read_series(write(text), kind="wind")
    # 1 knot is 1.15078 mph.
    np.testing.assert_allclose(series.values[:, 0], np.array([10, 20, 30]) * KNOT, rtol=1e-5)
    np.testing.assert_allclose(series.values[:, 1:], [(1, 0), (0, -1), (-1, 0)], atol=1e-12)
    assert series.step == "1 h"


def test_offsets_from_utc_tell_the_hours_apart(write):
    # Clocks went back between the second and the third row.
    hours = ("00:00:00-04:00", "01:00:00-04:00", "01:00:00-05:00", "02:00:00-05:00")
    rows = "".join(f"{10 * k},{k},2013-11-03 {hour}\n" for k, hour in enumerate(hours, 1))
    series = read_series(write("wind_dir,wind_speed,time_hour\n" + rows), kind="wind")
    np.testing.assert_allclose(series.values[:, 0], np.arange(1, 5) * 0.44704)
    assert not any("repeated" in note or "interpol" in note for note in series.notes)


def test_short_gaps_are_filled_and_long_ones_avoided(write):
    hours = [0, 1, 2, 8, 9, 13, 14]  # 5 hours missing, then 3
    series = read_series(write(asos(*(f"01 {h:02}:53,{10 * h},{h}" for h in hours))))
    np.testing.assert_allclose(series.values[:, 0], np.arange(8, 15) * KNOT, rtol=1e-5)
    assert series.notes[-2:] == (
        "Gaps of more than 3 samples cut the series into 2 stretches; the longest is used, 4 of 7 samples.",
        "3 missing samples were filled by linear interpolation.",
    )


def test_a_gap_of_four_is_a_long_one(write):
    hours = [0, 1, 2, 7, 8]
    series = read_series(write(asos(*(f"01 {h:02}:53,90,{h}" for h in hours))))
    assert len(series) == 3


def test_frequent_observations_are_averaged_over_full_hours(write):
    # From the east, at full hours from the south; in odd hours the other way round.
    rows = [
        f"01 {h:02}:{m:02},{(90 if m else 180) + 180 * (h % 2)},{h + m / 60}"
        for h in range(4)
        for m in range(0, 60, 10)
    ]
    series = read_series(write(asos(*rows)))
    np.testing.assert_allclose(series.values[:, 0], (np.arange(4) + 25 / 60) * KNOT, rtol=1e-5)
    # Means of five vectors (1, 0) and one (0, -1), which at 00:00 is none: it is calm.
    expected = [(5 / 6, 0), (-5 / 6, 1 / 6), (5 / 6, -1 / 6), (-5 / 6, 1 / 6)]
    np.testing.assert_allclose(series.values[:, 1:], expected, atol=1e-12)
    assert "24 observations were averaged over full hours." in series.notes


def test_an_observation_between_hours_goes_to_the_nearest(write):
    rows = ["01 00:53,90,1", "01 01:53,80,2", "01 02:20,70,4", "01 02:30,60,8", "01 02:53,50,9", "01 03:53,40,5"]
    series = read_series(write(asos(*rows)))
    # 02:20 is 27 minutes after 01:53, 02:30 is 23 before 02:53.
    np.testing.assert_allclose(series.values[:, 0], np.array([1, 3, 8.5, 5]) * KNOT, rtol=1e-5)


def test_three_hourly_observations_stay_so(write):
    series = read_series(write(asos(*(f"{d:02} {h:02}:00,90,{h}" for d in (1, 2) for h in range(0, 24, 3)))))
    assert (len(series), series.step) == (16, "3 h")


def test_bogus_observations_are_taken_out_and_counted(write):
    rows = ["01 00:00,90,1", "01 01:00,90,-2", "01 02:00,90,3", "01 03:00,90,911", "01 04:00,400,5", "01 05:00,80,6"]
    series = read_series(write(asos(*rows)))
    np.testing.assert_allclose(series.values[:, 0], np.array([1, 2, 3, 4, 5, 6]) * KNOT, rtol=1e-5)
    assert "2 impossible wind speeds (below 0 or above 113 m/s) were left out." in series.notes
    assert "1 impossible wind direction (outside 0..360 degrees) was left out." in series.notes
    assert series.values[4, 1:].tolist() == [0, 0]


def test_order_and_repetition(write):
    rows = ["01 02:00,90,3", "01 00:00,90,1", "01 01:00,M,2", "01 01:00,M,2"]
    series = read_series(write(asos(*rows)))
    np.testing.assert_allclose(series.values[:, 0], np.array([1, 2, 3]) * KNOT, rtol=1e-5)
    assert series.notes[:2] == ("Rows were sorted by date.", "1 repeated row was left out.")


def test_columns_that_say_nothing_are_dropped(write):
    without = read_series(write(asos("01 00:00,M,1", "01 01:00,M,2", "01 02:00,M,3")))
    assert without.columns == ("speed (m/s)",)
    assert "There is no wind direction, so that speed is the only column." in without.notes
    # From the east only, and calm once.
    steady = read_series(write(asos("01 00:00,0,0", "01 01:00,360,2", "01 02:00,360,3")))
    assert steady.columns == ("speed (m/s)", "cosine of direction")
    assert "The column sine of direction is constant and was left out." in steady.notes


# --- stock and systems ------------------------------------------------------------------------------------------------


def test_prices_by_row(write):
    rows = ["2024-01-08,14", "2024-01-02,10", "2024-01-03,null", "2024-01-04,-1", "2024-01-05,13", "2024-01-05,13"]
    series = read_series(write("Date,Close\n" + "\n".join(rows)))
    np.testing.assert_allclose(series.values[:, 0], [10, 11, 12, 13, 14])
    assert series.notes == (
        "1 row without a price was left out.",
        "1 price of 0 or less was left out.",
        "Rows were sorted by date.",
        "1 repeated row was left out.",
        "2 missing samples were filled by linear interpolation.",
    )


def test_prices_with_a_byte_order_mark(write):
    series = read_series(write("\ufeffDate,Close\n2024-01-02,10\n2024-01-03,11\n2024-01-04,12\n"))
    assert series.values[:, 0].tolist() == [10, 11, 12]


def test_a_long_rest_of_trade_cuts_prices(write):
    days = [f"2024-01-{d:02},{d}" for d in range(1, 6)] + [f"2024-03-{d:02},{d}" for d in range(1, 4)]
    series = read_series(write("Date,Open,Close\n" + "\n".join(day.replace(",", ",0,") for day in days)))
    assert series.values[:, 0].tolist() == [1, 2, 3, 4, 5]


def test_weekly_prices(write):
    series = read_series(write("Date,Close\n2024-01-01,1\n2024-01-08,2\n2024-01-15,4\n2024-01-22 00:00:00-05:00,3"))
    assert (series.values[:, 0].tolist(), series.step) == ([1, 2, 4, 3], "7 d")


@pytest.mark.parametrize(("made", "step"), [(lorenz63(80), "0.01"), (roessler(80, discard=0), "0.03")])
def test_systems_are_told_by_their_dynamics(tmp_path, made, step):
    path = tmp_path / "states.mat"
    savemat(path, {"state": made.values})
    series = read_series(path)
    assert (series.step, series.lyapunov_time) == (f"{step} time units", made.lyapunov_time)
    savemat(path, {"state": made.values[::2]})
    assert read_series(path).lyapunov_time is None
    savemat(path, {"data": 1e200 * made.values, "other": np.ones((3, 3))})
    assert read_series(path).lyapunov_time is None


def test_missing_states_are_filled(tmp_path):
    values = np.column_stack([np.arange(9.0), np.arange(9.0) ** 2, np.arange(9.0) % 5, np.arange(9.0)])
    values[4, 1] = np.nan
    savemat(tmp_path / "states.mat", {"data": values})
    series = read_series(tmp_path / "states.mat")
    # Linear between 9 and 25.
    assert series.values[4].tolist() == [4, 17, 1.5, 4]
    assert series.columns == ("x0", "x1", "x2", "x3")
    assert series.notes == (
        "1 row without a value was left out.",
        "1 missing sample was filled by linear interpolation.",
    )


STOOQ = "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<CLOSE>"
PRICES = [31.0, 1032.5, 30.25, 33.0]
DAYS = ["2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05"]
DATED = list(zip(DAYS, PRICES, strict=True))


def comma(price: float) -> str:
    return f"{price:,.2f}".translate(str.maketrans(",.", ".,"))


@pytest.mark.parametrize(
    "rows",
    [
        ["Price,Close,High", "Ticker,QQ,QQ", "Date,,", *(f"{d},{p},1" for d, p in DATED)],
        ["Price,Adj Close,Close", "Ticker,QQ,QQ", "Datetime,,", *(f"{d},1,{p}" for d, p in DATED)],
        ["Ticker,QQ,QQ", "Price,Open,Close", "Date,,", *(f"{d},1,{p}" for d, p in DATED)],
        [STOOQ, *(f"QQ.US,D,{d.replace('-', '')},000000,1,{p}" for d, p in DATED)],
        [STOOQ, *(f"QQ.US,60,20240102,{10 + k}0000,1,{p}" for k, p in enumerate(PRICES))],
        ["Date;Open;Close", *(f"{d};1;{p}" for d, p in DATED)],
        ["Date;Close", *(f"{d[8:]}.{d[5:7]}.{d[:4]};{comma(p)}" for d, p in DATED)],
        ["Date\tClose", *(f'{d}\t"{comma(p)}"' for d, p in DATED)],
    ],
)
def test_prices_as_they_are_published(write, rows):
    assert read_series(write("\n".join(rows))).values.ravel().tolist() == PRICES


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            ["Price,Close,Close", "Ticker,QQ,RR", "Date,,", "2024-01-02,1,2"],
            r"2 tickers \(QQ, RR\); download one, with",
        ),
        (["Date,Close,Close", "2024-01-02,1,2"], "has two columns close; delete all but the one"),
        (["valid,drct,sknt,SKNT", "2011-02-01 00:00,1,2,3"], "has two columns sknt"),
        (
            [STOOQ, "QQ,D,20240102,000000,1,1", "RR,D,20240102,000000,1,2"],
            r"2 tickers \(QQ, RR\); keep the rows of one",
        ),
        (["Date,Close,Name", "2024-01-02,1,A", "2024-01-03,2,B"], r"2 names \(A, B\); keep the rows of one"),
        (
            ["Date;Close", "2024-01-02;1,234", "2024-01-03;2,345"],
            "close may have thousands or thousandths, such as '1,234'",
        ),
        (["Date;Close", "2024-01-02;1,5", "2024-01-03;2.5"], "line 3: close must be a number, with a decimal comma"),
        (["Date;Close", "2024-01-02;1,234.5"], "line 2: close must be a number, got '1,234.5'"),
        (["Date,Close", "03/04/2020,1"], "a date such as 2011-02-01 or .* is needed, got '03/04/2020'"),
        (["Date,Close", "31.02.2020,1"], "is needed, got '31.02.2020'"),
        (["Date,Close", "0001-01-01T00:00:00+05:00,1"], "is needed, got '0001-01-01T"),
        (["<html>", "a,b"], "is a web page"),
    ],
)
def test_what_would_be_guessed_is_refused(write, rows, message):
    with pytest.raises(InvalidInput, match=message) as error:
        read_series(write("\n".join(rows)))
    assert "\n" not in str(error.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_pipes_and_devices_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    for path in (tmp_path / "pipe.csv", "/dev/zero"):
        with pytest.raises(InvalidInput, match="not a regular file"):
            read_series(path)


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty; give a CSV or .mat file"),
        (" \n\n", "is empty"),
        ("#DEBUG: nothing\n", "has only comments"),
        (b"\x00\x01\x02\xff", "is a binary file of no known format"),
        ("Größe,Close\n".encode("latin-1"), "is a binary file of no known format; give a CSV file in UTF-8"),
        ("Date,Close\n2024-01-01,1\n".encode("utf-16"), "is a binary file of no known format"),
        (pickle.dumps([1, 2, 3]), "is a pickle, which may run code when read; save the series as CSV"),
        ("<!DOCTYPE html><html></html>", "is a web page, not the data"),
        ("a,b\n1,2\n", "has the header 'a,b'; one of these is needed: Date,Close .Yahoo Finance.; station,valid"),
        ("1;2\n" * 9, "has the header '1;2'; one of these is needed"),
        ("Date,Open\n2024-01-01,1\n", "has no column close, which a file of stock prices needs; known: Date,Close"),
        ("Open,Close\n1,1\n", "has no column date"),
        ("Date,Close\n", "has a header and no rows"),
        ("Date,Close\n2024-01-01,1\n2024-01-02\n", "line 3: 1 fields, but the header names 2"),
        ("Date,Close\n2024-01-01,1\n2024-01-02,x1\n", "line 3: close must be a number, got 'x1'"),
        ("Date,Close\n\n2024-01-01,1_0\n", "line 3: close must be a number, got '1_0'"),
        ("Date,Close\n2024-01-01,inf\n", "line 2: close must be a number, got 'inf'"),
        ('Date,Close\n2024-01-01,"1\n2024-01-02,1\n', "line 2: unexpected end of data; correct the line"),
        ("Date,Close\n2024-13-01,1\n", "line 2: a date such as 2011-02-01 or .* is needed, got '2024-13-01'"),
        ("Date,Close\n01/02/2024,1\n", "line 2: a date such as"),
        ("Date,Close\n2024-01-01,1\n2024-01-01,2\n", "has two different observations at 2024-01-01 00:00"),
        ("Date,Close\n2024-01-01,null\n2024-01-02,0\n", "has no usable price in its 2 rows"),
        ("Date,Close\n2024-01-01,5\n2024-01-02,6\n", "has 2 usable samples in a row, at least 3 are needed"),
        ("Date,Close\n2024-01-01,5\n2024-01-02,5\n2024-01-03,5", "close in .* is constant, always 5; leave it out"),
        (asos("01 00:00,M,M"), "has no wind speed in its 1 rows"),
        (asos("01 00:00,90,-1", "01 01:00,90,999"), "has no wind speed in its 2 rows"),
        (asos("01 00:00,90,1"), "has 1 usable samples in a row"),
        (asos("01 00:00,90,1", "01 00:00,90,2"), "has two different observations at 2011-02-01 00:00"),
        (asos("01 00:00,90,2", "01 01:00,80,2", "01 02:00,70,2"), r"speed \(m/s\) in .* is constant, always 1\.02889"),
        (asos("01 00:00,90,1").replace("drct", "dir"), "has no column drct, which a file of the Iowa"),
        (asos("01 00:00,90,1").replace("drct,sknt", "tmpf,p01m"), "has no column drct, sknt, which"),
        (asos("01 00:00,90,1") + "\nMSP,2011-02-01 01:00,90,1", r"holds 2 stations \(DSM, MSP\); keep the rows of one"),
        (asos("01 25:00,90,1"), "line 2: a date such as"),
        ("time_hour,wind_speed\n2011-02-01T00:00:00Z,1", "has no column wind_dir, which a file of hourly wind needs"),
        ("year,wind_speed,wind_dir\n2011,1,2", "has no column time_hour, which a file of hourly wind needs"),
    ],
)
def test_bad_tables(write, content, message):
    with pytest.raises(InvalidInput, match=message) as error:
        read_series(write(content))
    assert "\n" not in str(error.value)


def test_bad_matlab_files(write, tmp_path):
    path = tmp_path / "file.mat"

    def refused(message):
        with pytest.raises(InvalidInput, match=message) as error:
            read_series(path)
        assert "\n" not in str(error.value)

    savemat(path, {"data": lorenz63(200).values})
    whole = path.read_bytes()
    for size in (20, 127, 140, 200, len(whole) // 2, len(whole) - 8):
        path.write_bytes(whole[:size])
        refused("is damaged or no MATLAB file")
    path.write_bytes(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM" + bytes(600))
    refused(r"is a MATLAB 7.3 file; save it with save\(..., '-v7'\)")
    for content, message in (
        ({"text": "no numbers"}, "has 0 matrices of numbers; one is needed, or one called data"),
        ({"a": np.ones((4, 1)), "b": np.ones((4, 1))}, "has 2 matrices"),
        ({"a": np.ones((1, 9))}, r"needs one row per sample, got a matrix of shape \(1, 9\); transpose it"),
        ({"a": np.full((9, 3), np.nan)}, "has no usable value in its 9 rows"),
        ({"a": np.ones((9, 1))}, "is constant"),
        ({"a": np.arange(1.0, 3)[:, np.newaxis]}, "has 2 usable samples"),
        ({"a": np.full((9, 2), np.nan)}, "has no wind speed in its 9 rows"),
        ({"a": np.zeros((0, 0))}, "has no usable value|needs one row"),
    ):
        savemat(path, content)
        refused(message)


def test_bad_paths(tmp_path, write):
    for path, message in (
        (tmp_path / "none.csv", "cannot be read .No such file or directory.; give a CSV or .mat file"),
        (tmp_path, "cannot be read .Is a directory."),
        (3, "path must be the name of a file, got int"),
        ("a\x00b", "cannot be read"),
    ):
        with pytest.raises(InvalidInput, match=message):
            read_series(path)
    with pytest.raises(InvalidInput, match="kind must be one of stock, wind, system"):
        read_series(tmp_path / "none.csv", kind="yahoo")
    path = write("Date,Close\n2024-01-01,5\n2024-01-02,6\n2024-01-03,7\n")
    with pytest.raises(InvalidInput, match="holds stock prices, but wind is needed; give another file"):
        read_series(path, kind="wind")


def test_reading_a_pickle_runs_nothing(write, tmp_path):
    class Harm:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "harm",))

    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(InvalidInput):
            read_series(write(pickle.dumps(Harm(), protocol), "file.mat"))
    assert not (tmp_path / "harm").exists()


def test_what_wind_needs():
    assert "&format=onlycomma&missing=M" in WIND_HELP
    assert "\n" not in WIND_HELP
