{{/*
The /metrics of an app, for a Prometheus that finds pods by their annotations. Each takes (dict "root" $ "app" "...").
*/}}

{{- define "pipeline.scrape.annotations" -}}
prometheus.io/scrape: "true"
prometheus.io/port: {{ index .root.Values.scrape.ports .app | quote }}
prometheus.io/path: /metrics
{{- end }}

{{- define "pipeline.scrape.variables" -}}
- name: BATON_METRICS_PORT
  value: {{ index .root.Values.scrape.ports .app | quote }}
- name: BATON_METRICS_HOST
  valueFrom:
    fieldRef:
      fieldPath: status.podIP
{{- end }}

{{- /* A rule of its policy; empty when nobody may come in. */}}
{{- define "pipeline.scrape.rule" -}}
{{- with .root.Values.scrape.from -}}
- from: # whoever scrapes
    {{- toYaml . | nindent 4 }}
  ports:
    - port: {{ index $.root.Values.scrape.ports $.app }}
{{- end }}
{{- end }}
