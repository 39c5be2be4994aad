"""csynth.xml as Vitis HLS 2022.1 writes it (UG1399, "C Synthesis Report"), as far as it is read here."""

from __future__ import annotations

import re
from pathlib import Path

HLS = Path(__file__).parent.parent / "hls_src"
USED = {"BRAM_18K": 252, "DSP": 200, "FF": 40_000, "LUT": 39_000, "URAM": 0}
AVAILABLE = {"BRAM_18K": 280, "DSP": 220, "FF": 106_400, "LUT": 53_200, "URAM": 0}


def pipelines() -> dict[str, str]:
    """The function of each pipelined loop of the engine: the nearest one above that begins a line."""
    found = {}
    for path in [*sorted(HLS.glob("*.hpp")), HLS / "engine.cpp"]:
        text = path.read_text(encoding="utf-8")
        for loop in re.finditer(
            r"^\s*(\w+):\n\s*(?:for|while)\b[^\n]*\n(?:\s*#pragma[^\n]*\n)*?\s*#pragma HLS PIPELINE", text, re.M
        ):
            above = re.findall(r"^[A-Za-z][^\n=;]*?(\w+)\(", text[: loop.start()], re.M)
            found[loop[1]] = above[-1]
    return found


def _loop(name: str, interval: str) -> str:
    pipeline = f"<PipelineII>{interval}</PipelineII><PipelineDepth>31</PipelineDepth>" if interval else ""
    return f"""
                    <{name}>
                        <Name>{name}</Name>
                        <Slack>7.30</Slack>
                        <TripCount><range><min>1</min><max>1048576</max></range></TripCount>
                        <Latency>32 ~ 1048606</Latency>
                        <AbsoluteTimeLatency>0.320 us ~ 10.486 ms</AbsoluteTimeLatency>
                        {pipeline}<PipelineType>{"yes" if interval else "no"}</PipelineType>
                        <InstanceList/>
                    </{name}>"""


def _module(name: str, loops: str) -> str:
    return f"""
        <Module>
            <Name>{name}</Name>
            <Loops/>
            <PerformanceEstimates>
                <SummaryOfTimingAnalysis>
                    <TargetClockPeriod>10.00</TargetClockPeriod>
                    <ClockUncertainty>2.70</ClockUncertainty>
                    <EstimatedClockPeriod>7.255</EstimatedClockPeriod>
                </SummaryOfTimingAnalysis>
                <SummaryOfOverallLatency>
                    <Best-caseLatency>undef</Best-caseLatency>
                    <PipelineInitiationInterval>undef</PipelineInitiationInterval>
                    <PipelineType>no</PipelineType>
                </SummaryOfOverallLatency>
                <SummaryOfLoopLatency>{loops}
                </SummaryOfLoopLatency>
            </PerformanceEstimates>
            <AreaEstimates>
                <Resources>
                    <DSP>999</DSP>
                    <AVAIL_DSP>220</AVAIL_DSP>
                    <UTIL_DSP>454</UTIL_DSP>
                </Resources>
            </AreaEstimates>
        </Module>"""


def csynth(
    intervals: dict[str, str] | None = None, used: dict[str, int] | None = None, loops: dict[str, str] | None = None
) -> str:
    """csynth.xml of the engine as it was meant, or with other IIs ("" for a loop that is no pipeline) and resources.

    `loops` has the function of each pipelined loop by its label, those of the sources if not given.
    """
    intervals, used = intervals or {}, {**USED, **(used or {})}
    modules = "".join(
        _module(f"{function}_Pipeline_{label}", _loop(label, intervals.get(label, "1")))
        for label, function in (pipelines() if loops is None else loops).items()
    )
    nest = _loop("OUTER", "").replace("<InstanceList/>", _loop("INNER", "") + "<InstanceList/>")

    def amounts(of: dict[str, int]) -> str:
        return "".join(f"\n            <{name}>{amount}</{name}>" for name, amount in of.items())

    return f"""<profile>
    <ReportVersion>
        <Version>2022.1</Version>
    </ReportVersion>
    <UserAssignments>
        <unit>ns</unit>
        <ProductFamily>zynq</ProductFamily>
        <Part>xc7z020-clg400-1</Part>
        <TopModelName>pynq_cnn_engine</TopModelName>
        <TargetClockPeriod>10.00</TargetClockPeriod>
        <ClockUncertainty>2.70</ClockUncertainty>
        <FlowTarget>vivado</FlowTarget>
    </UserAssignments>
    <PerformanceEstimates>
        <PipelineType>no</PipelineType>
        <SummaryOfTimingAnalysis>
            <unit>ns</unit>
            <EstimatedClockPeriod>7.300</EstimatedClockPeriod>
        </SummaryOfTimingAnalysis>
        <SummaryOfLoopLatency>{nest}
        </SummaryOfLoopLatency>
    </PerformanceEstimates>
    <AreaEstimates>
        <Resources>{amounts(used)}
        </Resources>
        <AvailableResources>{amounts(AVAILABLE)}
        </AvailableResources>
    </AreaEstimates>
    <InterfaceSummary>
        <RtlPorts>
            <name>s_axi_control_AWVALID</name>
            <Object>control</Object>
            <Scope/>
            <Bits>1</Bits>
        </RtlPorts>
    </InterfaceSummary>
    <ModuleInformation>{modules}{_module("pynq_cnn_engine", nest)}
    </ModuleInformation>
</profile>
"""
